"""Which replacements of credentials are made here (credentials.toml), inside what devices know."""

from collections.abc import Mapping
from dataclasses import dataclass

from smki.device.cells import CellName
from smki.device.modes import MODES_BY_WORD, RULES, SUPPLIER_CELLS, ModeRule
from smki.entity import RemotePartyRole
from smki.errors import Refused
from smki.gbcs.header import Cra
from smki.gbcs.message import Protection
from smki.gbcs.payload.credentials import Mode
from smki.gbcs.use_case import SIGNATURE_ALONE, UseCases
from smki.settings import Table, at, parsed

_FILE = "credentials.toml"
_HANDED_OVER = {Mode.SUPPLIER_BY_SUPPLIER, Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR}
"""The modes in which a device leaves the broker's hands (DUIS 6.21)."""
_OWN_ALONE = frozenset({Mode.SUPPLIER_BY_SUPPLIER})
"""Who may put no certificates but its own: a home goes to another when the registration data say so, by the change of
supplier, and never as its supplier likes."""
_IN_CONTROL = frozenset({RemotePartyRole.SUPPLIER, RemotePartyRole.LOAD_CONTROLLER})
"""Who comes into control begins to count anew: without a floor, the home would hear from nobody, or from whoever kept
an old command (GBCS 13.3)."""


class _ModeTable(Table, frozen=True):
    targets: list[str]
    """Roles whose cells it fills."""
    protections: list[str]
    """What protects such a command: `mac`, `signature`, `signature+mac`."""
    authorising: str | None = None
    """The cell that its authority comes from; none for the contingency."""
    floors: list[str] = []
    """Roles that are given a floor of counters when another fills their cells."""
    unnamed: bool = False
    """Whether the authority may be left out."""
    own_certificates: bool = False
    """Whether it puts its originator's certificates alone; `supplierBySupplier` must say so."""
    handover: bool = False
    """Whether the broker may put the certificates of others in the place of its own."""
    broker_elsewhere: bool = False
    """Whether the broker's may go into the cells of others."""


@dataclass(frozen=True, slots=True)
class ModePolicy:
    """What is made in one mode."""

    rule: ModeRule
    targets: frozenset[RemotePartyRole]
    protections: tuple[Protection, ...]
    floors: frozenset[RemotePartyRole]
    """The roles that are given a floor whenever another fills their cells."""
    may_be_unnamed: bool
    own_certificates: bool
    """Whether its originator puts its own certificates alone."""
    handover: bool
    """Whether the broker may put others' certificates where its own have been."""
    broker_elsewhere: bool
    """Whether the broker's certificates may go into the cells of others."""


@dataclass(frozen=True, slots=True)
class CredentialsPolicy:
    """What credentials.toml says."""

    modes: Mapping[Mode, ModePolicy]
    sets: tuple[tuple[CellName, ...], ...]

    def check_use_cases(self, use_cases: UseCases) -> None:
        """No mode is protected otherwise than its use case is."""
        for mode in self.modes.values():
            row = use_cases[mode.rule.code]
            for form in mode.protections:
                if not row.allows(Cra.COMMAND, form):
                    raise _refused(mode.rule, f"goes with {form.value}, which use-cases.toml does not allow")

    def set_of(self, name: CellName) -> tuple[CellName, ...]:
        """The cells that change together with one."""
        return next((cells for cells in self.sets if name in cells), (name,))


class CredentialsFile(Table, frozen=True):
    """Which replacements of credentials are made. All of it within what devices know: a file narrows, and never
    widens."""

    sets: list[list[str]]
    """Cells that change together, with certificates of one organisation; a supplier's three are always one."""
    modes: dict[str, _ModeTable]
    """The modes that are made here, by name; one that is not in this file is not made."""

    def checked(self) -> CredentialsPolicy:
        modes = [_mode(word, table) for word, table in self.modes.items()]
        return CredentialsPolicy({mode.rule.mode: mode for mode in modes}, _sets(self.sets))


def _mode(word: str, table: _ModeTable) -> ModePolicy:
    mode = MODES_BY_WORD.get(word)
    if mode is None:
        raise Refused(
            "policy.credentials",
            f"{_FILE}: {word[:40]!r} is no mode",
            f"use some of: {', '.join(MODES_BY_WORD)}",
        )
    rule = RULES[mode]
    found = ModePolicy(
        rule=rule,
        targets=_roles(table.targets, f"modes.{word}.targets"),
        protections=tuple(_protection(rule, text) for text in table.protections),
        floors=_roles(table.floors, f"modes.{word}.floors"),
        may_be_unnamed=table.unnamed,
        own_certificates=table.own_certificates,
        handover=table.handover,
        broker_elsewhere=table.broker_elsewhere,
    )
    where = at(_FILE, f"modes.{word}.authorising")
    _refuse_wider(found, None if table.authorising is None else parsed(CellName.parse, table.authorising, where))
    return found


def _roles(words: list[str], key: str) -> frozenset[RemotePartyRole]:
    return frozenset(parsed(RemotePartyRole.parse, word, at(_FILE, key)) for word in words)


def _refuse_wider(found: ModePolicy, authorising: CellName | None) -> None:
    """A file that would have made what no device takes, or what no home should be given."""
    rule = found.rule
    own = None if rule.authorising is None else rule.authorising.role
    lacking = (_IN_CONTROL & found.targets) - found.floors - {own}
    if authorising != rule.authorising:
        raise _refused(
            rule,
            f"(authorising) has its authority from {rule.authorising or 'the contingency key'}, and nothing else",
        )
    if not found.targets or not found.targets <= rule.targets:
        raise _refused(rule, f"fills cells of {_words(rule.targets)}, and no others")
    if not found.protections or not set(found.protections) <= set(_allowed(rule)):
        raise _refused(rule, f"goes with {' or '.join(one.value for one in _allowed(rule))}, and nothing else")
    if found.may_be_unnamed and not rule.may_be_unnamed:
        raise _refused(rule, "always names its authority")
    if found.handover and rule.mode not in _HANDED_OVER:
        raise _refused(rule, "hands nothing over")
    if found.broker_elsewhere and not rule.puts_broker:
        raise _refused(rule, "puts no broker into the cells of others")
    if rule.mode in _OWN_ALONE and not found.own_certificates:
        raise _refused(rule, "puts its originator's own certificates alone: own_certificates = true")
    if lacking:
        raise _refused(rule, f"gives floors to {_words(lacking)}, who come into control")


def _allowed(rule: ModeRule) -> tuple[Protection, ...]:
    if rule.code in SIGNATURE_ALONE:
        return (Protection.SIGNATURE,)
    return (Protection.MAC, Protection.BOTH) if rule.may_be_unnamed else (Protection.BOTH,)


def _protection(rule: ModeRule, text: str) -> Protection:
    for form in Protection:
        if form.value == text:
            return form
    raise _refused(rule, f"protections: there is none called {text[:20]!r}")


def _sets(written: list[list[str]]) -> tuple[tuple[CellName, ...], ...]:
    sets = tuple(tuple(parsed(CellName.parse, word, at(_FILE, "sets")) for word in words) for words in written)
    names = [name for cells in sets for name in cells]
    if len(set(names)) != len(names):
        raise Refused("policy.credentials", f"{_FILE}: a cell is in `sets` twice", "name each cell once")
    if not any(set(SUPPLIER_CELLS) <= set(cells) for cells in sets):
        raise Refused(
            "policy.credentials",
            f"{_FILE}: the supplier's cells are no set",
            "keep them together: nobody shares the control of a home",
        )
    return sets


def _words(roles: frozenset[RemotePartyRole]) -> str:
    return ", ".join(role.word for role in sorted(roles))


def _refused(rule: ModeRule, reason: str) -> Refused:
    return Refused(
        "policy.credentials", f"{_FILE}: {rule.word} {reason}", "this is a limit of the code: keep within it"
    )
