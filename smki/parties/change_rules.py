"""May this change of credentials be made? Each rule with its code; all that are broken are told (GBCS 13.3).

Judged once for a change, however many devices it is for. What a device must find for itself it is not spared by this:
here is prevented that a home is asked for something nobody should ask of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from smki.authority.credentials import ModePolicy
from smki.authority.workspace import Workspace
from smki.device.cells import CellName, CellUse
from smki.device.modes import RULES, ModeRule
from smki.device.update import CANCELLED, MAX_COUNTER, MAX_PATH_CERTIFICATES, Floors
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.errors import SmkiError
from smki.gbcs.payload.credentials import Mode
from smki.parties.changes import Change, Place
from smki.parties.keys import issued_to
from smki.parties.replacements import Replacement, Replacements
from smki.pki.verdict import Fault
from smki.store.records import PutRecord

_ROLE = RemotePartyRole
_BROKER_DS = CellName(_ROLE.ACCESS_CONTROL_BROKER, CellUse.DIGITAL_SIGNATURE)
_STANDS_IN = {_ROLE.SUPPLIER, _ROLE.NETWORK_OPERATOR}
"""Whose cells hold the broker's certificates until a home is handed over (DUIS 6.21)."""


def own_role(rule: ModeRule) -> RemotePartyRole:
    """Whose counter a command of a mode goes by."""
    return _ROLE.ROOT if rule.authorising is None else rule.authorising.role


@dataclass(frozen=True)
class Judged:
    """A change, its certificates read, and every rule it breaks."""

    replacements: tuple[Replacement, ...]
    path: tuple[bytes, ...]
    authorising: CellName | None
    faults: tuple[Fault, ...]

    @cached_property
    def records(self) -> tuple[PutRecord, ...]:
        return tuple(one.record for one in self.replacements)


class ChangeRules:
    """The rules of one workspace, and what they found before."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._policy = workspace.policies.credentials
        self._replacements = Replacements(workspace)
        self._found: dict[tuple[int, DeviceType | None], Judged] = {}
        self._kept: dict[int, Change] = {}
        self._originators: dict[EntityId, frozenset[RemotePartyRole | None]] = {}

    def judge(self, change: Change, kind: DeviceType | None) -> Judged:
        """The verdict on a change for a device: worked out the first time it is asked for one of its kind."""
        key = (id(change), kind)
        found = self._found.get(key)
        if found is None:
            self._kept[id(change)] = change  # so that nothing else gets its place in memory, and with it its verdict
            found = self._found[key] = self._judge(change, kind)
        return found

    def _judge(self, change: Change, kind: DeviceType | None) -> Judged:
        rule, mode = RULES[change.mode], self._policy.modes.get(change.mode)
        if mode is None:
            fault = _fault("mode", f"{rule.word} is not made here", "it is not in policies/credentials.toml")
            return Judged((), (), None, (fault,))
        read, faults = self._read(change.places)
        faults += [*_of_cells(change, mode), *self._of_kind(change, rule, kind)]
        for one in read:
            faults += [*self._of_certificate(one, change, mode)]
        faults += [*self._of_sets(read, kind), *_of_parties(read, change, mode)]
        faults += [*self._of_originator(change, rule), *_of_floors(read, change, mode), *self._of_time(change)]
        path = change.path
        if path is None:
            path, lacking = self._replacements.path(read)
            faults += lacking
        elif len(path) > MAX_PATH_CERTIFICATES:
            faults.append(
                _fault("path", f"{len(path)} certificates of a path", f"give {MAX_PATH_CERTIFICATES} at most")
            )
        return Judged(tuple(read), path, self._authority(mode, kind), tuple(faults))

    def _read(self, places: tuple[Place, ...]) -> tuple[list[Replacement], list[Fault]]:
        read, faults = list[Replacement](), list[Fault]()
        for place in places:
            try:
                read.append(self._replacements.read(place))
            except SmkiError as error:
                faults.append(Fault.of(error))
        return read, faults

    def _authority(self, mode: ModePolicy, kind: DeviceType | None) -> CellName | None:
        """A hub has a cell for the broker's signatures; other devices go by its MAC, and name none (GBCS 13.3)."""
        named = mode.rule.authorising
        if not mode.may_be_unnamed:
            return named
        return named if kind is not None and _BROKER_DS in self._workspace.policies.devices.get(kind, ()) else None

    # The rules

    def _of_kind(self, change: Change, rule: ModeRule, kind: DeviceType | None) -> Iterator[Fault]:
        if kind is None:
            return
        use_case = self._workspace.policies.use_cases[rule.code]
        if kind not in use_case.devices:
            yield _fault("device", f"no {kind.value} knows {rule.word}", "choose the mode for this kind of device")
        held = self._workspace.policies.devices.get(kind, ())
        for place in change.places:
            # Meters that control load have these too, and the table of kinds does not tell them from others.
            if place.cell not in held and place.cell.role is not _ROLE.LOAD_CONTROLLER:
                yield _fault("no-cell", f"no {kind.value} has cell {place.cell}", "leave it out")

    def _of_certificate(self, one: Replacement, change: Change, mode: ModePolicy) -> Iterator[Fault]:
        yield from one.faults
        role, cell = one.role, one.place.cell
        if role is None or role is cell.role or cell.role is _ROLE.LOAD_CONTROLLER:
            pass  # a root's own has no role of a party; load is controlled by whoever is let (GBCS 13.9)
        elif role is not _ROLE.ACCESS_CONTROL_BROKER:
            yield _fault("role", f"{one.label} is a {role.word}'s, for cell {cell}", "put one of that role")
        elif not (mode.broker_elsewhere and cell.role in _STANDS_IN):
            yield _fault("broker", f"{one.label} is the broker's, for cell {cell}", "only recovery puts it there")
        if change.at is not None and change.at != CANCELLED and change.at > one.not_after:
            yield _fault("expires", f"{one.label} has ended by {change.at:%Y-%m-%d}", "put a later one")

    def _of_sets(self, read: list[Replacement], kind: DeviceType | None) -> Iterator[Fault]:
        """Whole sets, each of one organisation: mixed ones would let two share the control of a home (GBCS 13.3)."""
        filled: Mapping[CellName, Replacement] = {one.place.cell: one for one in read}
        held = None if kind is None else self._workspace.policies.devices.get(kind, ())
        for cells in {self._policy.set_of(name) for name in filled}:
            if kind is None and _BROKER_DS in cells:
                continue  # only a hub has the broker's two
            wanted = [name for name in cells if held is None or name in held or name.role is _ROLE.LOAD_CONTROLLER]
            missing = [str(name) for name in wanted if name not in filled]
            if missing:
                yield _fault("set", f"without {', '.join(missing)}", "put certificates into all cells of the set")
            owners = {filled[name].organisation for name in cells if name in filled}
            if len(owners) > 1:
                names = ", ".join(str(one) for one in sorted(owners))
                yield _fault("mixed", f"{cells[0].role.word}'s cells for {names}", "put one organisation's only")

    def _of_originator(self, change: Change, rule: ModeRule) -> Iterator[Fault]:
        """Where certificates of the originator are known, one of them is of the role it speaks in."""
        wanted = _ROLE.ACCESS_CONTROL_BROKER if change.handover else own_role(rule)
        if rule.authorising is None:
            return  # the contingency's originator is nobody that has a certificate
        known = self._originators.get(change.originator)
        if known is None:
            found = (
                one.holder.role for usage in KeyUsage for one in issued_to(self._workspace, change.originator, usage)
            )
            known = self._originators[change.originator] = frozenset(found)
        if known and wanted not in known and wanted is not _ROLE.LOAD_CONTROLLER:
            yield _fault("originator", f"{change.originator} is no {wanted.word}", "have it made for who may sign it")

    def _of_time(self, change: Change) -> Iterator[Fault]:
        at, now = change.at, self._workspace.clock()
        if at is not None and at <= now:
            yield _fault("time", f"it is to happen at {at:%Y-%m-%dT%H:%M:%SZ}, which is past", "leave the time out")
        if at is not None and at.microsecond:
            yield _fault("time", "its time has parts of seconds", "give whole seconds")


def _of_cells(change: Change, mode: ModePolicy) -> Iterator[Fault]:
    rule = mode.rule
    cells = [place.cell for place in change.places]
    if not cells:
        yield _fault("empty", "it fills no cell", "say which certificate goes where")
    for name in dict.fromkeys(cells):
        if name.role not in mode.targets or not rule.may_fill(name):
            yield _fault("target", f"{rule.word} fills no cell {name}", "choose the mode that does")
        if cells.count(name) > 1:
            yield _fault("twice", f"it fills cell {name} twice", "choose one of its certificates")
    if change.handover and not mode.handover:
        yield _fault("handover", f"{rule.word} hands nothing over", "make it for the originator of that mode")
    if (change.symmetric_key is None) is (change.mode is Mode.ANY_BY_CONTINGENCY):
        yield _fault(
            "contingency",
            "the contingency's key goes with the contingency, and with nothing else",
            "leave --symmetric-key out, or give it",
        )


def _of_parties(read: list[Replacement], change: Change, mode: ModePolicy) -> Iterator[Fault]:
    if change.handover or not mode.own_certificates:
        return
    for owner in sorted({one.organisation for one in read} - {change.originator}):
        yield _fault(
            "organisation",
            f"{change.originator} puts certificates of {owner} in its own place",
            "the change of supplier does that, or the handover by the broker",
        )


def _of_floors(read: list[Replacement], change: Change, mode: ModePolicy) -> Iterator[Fault]:
    """Who comes into control counts from where it is told; nobody else's counters move."""
    own, filled = own_role(mode.rule), {one.place.cell.role for one in read}
    given = [role for role, _ in change.other_floors]
    for role in dict.fromkeys(given):
        if role not in filled or role is own or given.count(role) > 1:
            yield _fault(
                "floor", f"a floor of {role.word}, once too often or whose cells stay", "give what is needed"
            )
    for role in sorted((mode.floors & filled) - set(given) - {own}):
        yield _fault("floor", f"{role.word} comes into control without a floor", f"give --floor-of {role.word}=N")
    comes = {one.organisation for one in read if one.place.cell.role is own} - {change.originator}
    if comes and own is not _ROLE.ROOT and change.floors is None:
        yield _fault("floor", f"{own.word} changes hands without a floor", "give --floor N")
    for role, floors in (*([] if change.floors is None else [(own, change.floors)]), *change.other_floors):
        yield from _of_floor(role, floors)


def _of_floor(role: RemotePartyRole, floors: Floors) -> Iterator[Fault]:
    if floors.top_up is not None and role is not _ROLE.SUPPLIER:
        yield _fault("floor", f"a floor of top-ups for {role.word}", "only suppliers make top-ups")
    if floors.counter >= MAX_COUNTER:
        yield _fault("floor", f"a floor of {floors.counter} leaves no counter", "choose a lower one")


def _fault(rule: str, message: str, remedy: str) -> Fault:
    return Fault(f"credentials.{rule}", message, remedy)
