"""A plan read, and held against what is known: every rule it breaks.

What a change of credentials must be is `smki.parties.change_rules`'; whether a device takes it is asked of the
device's own rules. Here is judged what makes it a recovery: the right method for the case, no compromised key put
back, a root replaced by the contingency unless the present one proves the next, no cell left behind.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.anchors import authorities
from smki.authority.hierarchy import certificate_of, named
from smki.authority.workspace import Workspace
from smki.device.cells import Cell, CellName
from smki.device.modes import ROOT_CELL, RULES
from smki.device.replacing import judge
from smki.device.update import Floors
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.gbcs.payload.credentials import Mode, StatusCode
from smki.parties.change_rules import ChangeRules, own_role
from smki.parties.changes import Change, Place
from smki.parties.keys import Certified, certified
from smki.parties.recovery.case import CASES, Case, Method
from smki.parties.recovery.file import (
    PlanFile,
    RecoveryTable,
    Situation,
    der_of,
    devices_of,
)
from smki.parties.recovery.filling import Filling, affected_records
from smki.parties.recovery.plan import Group, Plan, PlannedPut, update_of
from smki.pki.contingency import SYMMETRIC_KEY_OCTETS
from smki.pki.holder import load_certificate
from smki.pki.kind import Kind
from smki.pki.verdict import Fault
from smki.store.records import CertificateRecord

_ROLE = RemotePartyRole
_OWN_MODES = {
    _ROLE.SUPPLIER: Mode.SUPPLIER_BY_SUPPLIER,
    _ROLE.NETWORK_OPERATOR: Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR,
    _ROLE.WAN_PROVIDER: Mode.WAN_PROVIDER_BY_WAN_PROVIDER,
    _ROLE.LOAD_CONTROLLER: Mode.LOAD_CONTROLLER_BY_LOAD_CONTROLLER,
    _ROLE.TRANSITIONAL_COS: Mode.TRANS_COS_BY_TRANS_COS,
    _ROLE.ACCESS_CONTROL_BROKER: Mode.ACCESS_CONTROL_BROKER_BY_ACB,
}
_UNKNOWN_YET = bytes(SYMMETRIC_KEY_OCTETS)
"""Stands for the contingency's symmetric key wherever a plan is only looked at."""


def read_plan(workspace: Workspace, file: PlanFile) -> Plan:
    """Everything a plan says, worked out for each of its devices; nothing is made or signed."""
    return _Reading(workspace, file).plan()


class _Reading:
    """One plan being read."""

    def __init__(self, workspace: Workspace, file: PlanFile) -> None:
        self._workspace = workspace
        self._file = file
        self._table = table = file.table
        case = CASES.get(table.compromise.what)
        if case is None:
            raise InvalidInput(
                "plan.case", f"{table.compromise.what[:60]!r} is no case", f"use one of: {', '.join(CASES)}"
            )
        self._case: Case = case
        self._method: Method = table.method if isinstance(table, RecoveryTable) else "contingency"
        self._signer = None
        if isinstance(table, RecoveryTable):
            self._signer = certified(
                der_of(table.signer.certificate, "signer.certificate"), "the signer's certificate"
            )
        self._rule = RULES[self._mode()]
        self._root = certificate_of(workspace, named(workspace, table.root)).der
        self._affected = tuple(affected_records(workspace, table.compromise.certificates))
        self._rules = ChangeRules(workspace)

    def _mode(self) -> Mode:
        if self._signer is None:
            return Mode.ANY_BY_CONTINGENCY
        if self._method != "1":
            return Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY
        role = self._signer.holder.role
        if role not in _OWN_MODES:
            raise Refused("plan.signer", "method 1 is for a party with cells of its own", "choose method 2 or 3")
        return _OWN_MODES[role]

    @property
    def _originator(self) -> EntityId:
        return self._workspace.policies.recovery.originator if self._signer is None else self._signer.holder.entity

    def plan(self) -> Plan:
        puts = tuple(self._puts())
        devices = devices_of(self._file)
        homes = Counter(situation for _, situation in devices)
        groups = self._groups(puts, homes)
        faults = [*self._of_case(), *self._of_signer(), *self._of_puts(puts)]
        for group in dict.fromkeys(groups.values()):
            faults += group.faults
        return Plan(
            file=self._file,
            case=self._case,
            method=self._method,
            rule=self._rule,
            originator=self._originator,
            signer=self._signer,
            affected=self._affected,
            puts=puts,
            devices=devices,
            groups=groups,
            homes=homes,
            faults=tuple(dict.fromkeys(faults)),
        )

    def _puts(self) -> Iterator[PlannedPut]:
        for number, item in enumerate(self._table.put, 1):
            name = CellName.parse(item.cell)
            read = load_certificate(der_of(item.certificate, f"put {number}"), f"put {number}")
            der = read.public_bytes(Encoding.DER)
            where = None if item.where is None else EntityId.parse(item.where)
            yield PlannedPut(name, der, where, Cell.of(der, name))

    # For each kind of home

    def _groups(self, puts: tuple[PlannedPut, ...], homes: Counter[Situation]) -> dict[Situation, Group]:
        known: dict[tuple[DeviceType, tuple[PlannedPut, ...]], Group] = {}
        found = {}
        for situation in homes:
            cells = self._workspace.policies.devices.get(situation.kind, ())
            reaching = tuple(put for put in puts if put.reaches(cells, situation))
            key = (situation.kind, reaching)
            if key not in known:
                known[key] = self._group(situation.kind, reaching, cells)
            found[situation] = known[key]
        return found

    def _group(self, kind: DeviceType, puts: tuple[PlannedPut, ...], cells: tuple[CellName, ...]) -> Group:
        change = self._change(puts)
        if not puts:
            fault = _fault("idle", f"some {kind.value} would be given nothing", "leave such devices out of the list")
            return Group(kind, puts, change, faults=(fault,))
        judged = self._rules.judge(change, kind)
        group = Group(kind, puts, change, judged.path, judged.authorising)
        faults = list(judged.faults)
        missing = [str(name) for name in cells if name not in {put.cell for put in puts}]
        if missing and self._rule.mode is Mode.ANY_BY_CONTINGENCY:
            faults.append(
                _fault(
                    "cell-left",
                    f"{kind.value}: nothing under the new root for cell {', '.join(missing)}",
                    "a contingency fills every cell: add the certificates, with `where` for each party",
                )
            )
        if not faults:
            faults += self._of_device(group)
        return replace(group, faults=tuple(faults))

    def _change(self, puts: tuple[PlannedPut, ...]) -> Change:
        floors = {
            RemotePartyRole.parse(word): Floors(one.counter, one.top_up) for word, one in self._table.floors.items()
        }
        own, roles = own_role(self._rule), {put.cell.role for put in puts}
        contingency = self._rule.mode is Mode.ANY_BY_CONTINGENCY
        return Change(
            mode=self._rule.mode,
            originator=self._originator,
            places=tuple(Place(put.cell, put.certificate) for put in puts),
            path=tuple(der_of(text, "path") for text in self._table.path) or None,
            at=None if self._table.at is None else self._table.at.astimezone(UTC),
            floors=floors.get(own) if own in roles else None,
            other_floors=tuple(
                (role, one) for role, one in sorted(floors.items()) if role in roles and role is not own
            ),
            disapply_time=not self._table.check_times,
            symmetric_key=_UNKNOWN_YET if contingency else None,
        )

    def _of_device(self, group: Group) -> Iterator[Fault]:
        """What a device that holds the root would say: asked of the device's own rules (GBCS 13.3)."""
        change, kind = group.change, group.kind
        cells = {place.cell: Cell.of(place.certificate, place.cell) for place in change.places}
        cells[ROOT_CELL] = Cell.of(self._root, ROOT_CELL)
        for one in judge(cells, update_of(group, 1), change.at or self._workspace.clock()):
            if one.status is StatusCode.SUCCESS:
                continue
            word = StatusCode(one.status).name.lower().replace("_", " ")
            if one.name == ROOT_CELL and self._rule.mode is not Mode.ANY_BY_CONTINGENCY:
                yield _fault(
                    "abnormal-root",
                    f"the new root is not proven by {self._table.root} ({word})",
                    "add the link certificate to `path`; without one, only the contingency replaces a root",
                )
            else:
                yield _fault(
                    "device", f"a {kind.value} would not take cell {one.name}: {word}", "mend certificate or path"
                )

    # For the plan as a whole

    def _of_case(self) -> Iterator[Fault]:
        case, allowed = self._case, ", ".join(self._case.methods)
        if self._method not in case.methods:
            yield _fault(
                "method",
                f"a compromised {case.word} is not met by method {self._method}",
                f"choose one of: {allowed}",
            )
        for record in self._affected:
            tier = self._tier(record)
            fits = tier == case.tier if case.tier is not None else case.concerns(certified(record.der, "it").holder)
            if not fits:
                yield _fault(
                    "affected", f"certificate {record.serial} is none of a {case.word}", "name the affected ones"
                )
            if case.tier == "root" and record.der != self._root:
                yield _fault("affected", f"certificate {record.serial} is not {self._table.root}'s", "name that root")

    def _tier(self, record: CertificateRecord) -> str | None:
        for one in self._workspace.store.authorities():
            if one.serial == record.serial and certificate_of(self._workspace, one).der == record.der:
                return one.tier
        return None

    def _of_signer(self) -> Iterator[Fault]:
        table = self._table
        if self._signer is None:
            if self._workspace.store.contingency(table.root) is None:
                yield _fault("contingency", f"root {table.root} has no contingency keys", "name the root that has")
            return
        assert isinstance(table, RecoveryTable), "a contingency has no signer"
        signer, who = table.signer, self._signer.holder
        wanted = own_role(self._rule)
        if who.role is not wanted:
            yield _fault("signer", f"method {self._method} is signed by {wanted.word}", "name its certificate")
        handed_out = self._method == "1"
        if handed_out != (signer.token is None) or handed_out != (signer.key is None):
            yield _fault("signer", "a token and a key are named for methods 2 and 3, and for no other", "correct it")
        if handed_out and any(record.der == self._der(self._signer) for record in self._affected):
            yield _fault("signer", "the key that is to sign was compromised", "choose method 2 or 3")

    def _of_puts(self, puts: tuple[PlannedPut, ...]) -> Iterator[Fault]:
        keys = {Filling.key_identifier(record.der) for record in self._affected}
        dead = keys if self._case.tier == "issuing" or self._case.word == "root OCA key" else set()
        _, between = authorities(self._workspace, Kind.ORGANISATION.value)
        dead |= {Filling.key_identifier(der) for der in between if _authority_identifier(der) in dead}
        for put in puts:
            if put.content.key_identifier in keys or _authority_identifier(put.certificate) in dead:
                yield _fault(
                    "same-key", f"cell {put.cell} would hold what was compromised", "put a certificate of another key"
                )
            if self._method == "2" and put.cell.role is not _ROLE.ROOT and not self._is_brokers(put):
                yield _fault(
                    "not-broker",
                    f"method 2 puts the broker's certificates, and cell {put.cell} another's",
                    "use method 3",
                )

    @staticmethod
    def _is_brokers(put: PlannedPut) -> bool:
        return certified(put.certificate, "it").holder.role is _ROLE.ACCESS_CONTROL_BROKER

    @staticmethod
    def _der(one: Certified) -> bytes:
        return one.certificate.public_bytes(Encoding.DER)


def _authority_identifier(der: bytes) -> bytes | None:
    try:
        found = load_certificate(der, "a certificate").extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    return found.value.key_identifier


def _fault(rule: str, message: str, remedy: str) -> Fault:
    return Fault(f"recovery.{rule}", message, remedy)
