"""Use cases: what protects a message of each, who may send it, to which devices (GBCS 5, 15; `policies/`)."""

from collections.abc import Mapping
from dataclasses import dataclass

from smki.entity import DeviceType, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import Cra, MessageCode
from smki.gbcs.message import Protection

_CRITICAL_CODES = (
    "000A 000B 000C 000D 000F 0012 0019 001A 001B 001C 001D 001E 001F 0020 0043 0046 004B 004F 0050 0051 0053 0054"
    " 0055 0062 0068 006B 006C 006D 006E 006F 0070 007C 007D 007E 007F 0081 0085 0086 00A2 00A3 00AB 00AF 00B3 00B4"
    " 00B7 00C0 00C2 00C7 00D7 00D8 00DB 00DE 00FC 0100 0101 0102 0103 0105 0106 0107 0108 0109 011A 011E 011F 0125"
    " 0126"
)
CRITICAL = frozenset(MessageCode.parse(code) for code in _CRITICAL_CODES.split())
"""What can change supply, security or money (technical architecture 5.1). No file makes one of these less."""
SIGNATURE_ALONE = frozenset(MessageCode(code) for code in (0x0008, 0x011B, 0x0108, 0x0109))
"""Commands that no access control broker adds a MAC to: credentials read by a signer, recovery, contingency."""

HOME_CATEGORY = "SME.C.PPMID-GSME"
HOME_CODES = frozenset({MessageCode(0x0090), MessageCode(0x009B)})
"""What one device of a home orders another, with the MAC of their join alone (GBCS 13.7). No file adds to these."""
TOP_UP_CATEGORY = "SME.C.NC+UTRN"
"""What brings a prepayment token: its number is the upper half of the counter (GBCS 14)."""
_USUAL_SENDERS = frozenset({RemotePartyRole.SUPPLIER, RemotePartyRole.ACCESS_CONTROL_BROKER})
_SENDERS = {
    MessageCode(code): frozenset(roles)
    for code, roles in (
        (0x0101, {RemotePartyRole.WAN_PROVIDER}),
        (0x0103, {RemotePartyRole.NETWORK_OPERATOR, RemotePartyRole.ACCESS_CONTROL_BROKER}),
        (0x0105, {RemotePartyRole.WAN_PROVIDER}),
        (0x0106, {RemotePartyRole.TRANSITIONAL_COS}),
        (0x0107, {RemotePartyRole.TRANSITIONAL_COS}),
        (0x0108, {RemotePartyRole.RECOVERY}),
        (0x0109, {RemotePartyRole.ROOT}),
        (0x011F, {RemotePartyRole.LOAD_CONTROLLER}),
        (0x0125, {RemotePartyRole.LOAD_CONTROLLER}),
    )
}
"""Who may send critical commands: a file may say fewer, never others (GBCS 13.3, 17)."""


@dataclass(frozen=True, slots=True)
class UseCase:
    """One row of the table."""

    code: MessageCode
    name: str
    title: str
    category: str
    critical: bool
    protections: Mapping[Cra, tuple[Protection, ...]]
    """By kind of message; an absent kind means that the use case has no such message."""
    dated: bool
    """Whether its response carries the time it was made."""
    senders: tuple[RemotePartyRole, ...]
    sending_devices: tuple[DeviceType, ...]
    devices: tuple[DeviceType, ...]
    services: tuple[str, ...]
    users: tuple[str, ...]

    @property
    def label(self) -> str:
        """`ECS43 Remotely Open the Load Switch on the ESME`."""
        return f"{self.name} {self.title}".strip()

    @property
    def is_signed(self) -> bool:
        """Whether its sender signs its commands, in one of their forms at least."""
        return any(form in {Protection.SIGNATURE, Protection.BOTH} for form in self.protections.get(Cra.COMMAND, ()))

    def allows(self, cra: Cra, protection: Protection) -> bool:
        return protection in self.protections.get(cra, ())


class UseCases:
    """The whole table, by message code."""

    def __init__(self, rows: Mapping[MessageCode, UseCase]) -> None:
        self._rows = dict(sorted(rows.items()))
        for row in self._rows.values():
            _refuse_weak(row)

    def check_whole(self) -> None:
        """A table for everybody lacks no critical row; a device's own has those of its kind."""
        missing = CRITICAL - set(self._rows)
        if missing:
            raise _weak(min(missing), "is not in the table")

    def __getitem__(self, code: MessageCode) -> UseCase:
        found = self._rows.get(code)
        if found is None:
            raise InvalidInput(
                "gbcs.use-case",
                f"no use case has message code {code}",
                "see `smki usecase list`; is the table whole?",
            )
        return found

    def get(self, code: MessageCode) -> UseCase | None:
        return self._rows.get(code)

    @property
    def all(self) -> tuple[UseCase, ...]:
        return tuple(self._rows.values())

    def find(self, text: str) -> tuple[UseCase, ...]:
        """The use case with a code, or those with a name: CS02b has one row for each mode."""
        if text[:2].lower() == "0x":
            return (self[MessageCode.parse(text)],)
        found = tuple(row for row in self._rows.values() if row.name.lower() == text.lower())
        if not found:
            raise InvalidInput(
                "gbcs.use-case", f"no use case is called {text[:30]!r}", "give a code or name of `smki usecase list`"
            )
        return found


def _refuse_weak(row: UseCase) -> None:
    """What a file may not say, whoever wrote it."""
    commands = row.protections.get(Cra.COMMAND, ())
    if (row.category == HOME_CATEGORY) is not (row.code in HOME_CODES):
        raise _weak(row.code, f"is {'not ' if row.code in HOME_CODES else ''}of the home network's category")
    if row.code in HOME_CODES and (commands != (Protection.MAC,) or set(row.sending_devices) != {DeviceType.PPMID}):
        raise _weak(row.code, "is not sent by a PPMID with its MAC")
    if Protection.NONE in {form for forms in row.protections.values() for form in forms}:
        raise _weak(row.code, "goes without protection")
    if row.code in CRITICAL and not row.critical:
        raise _weak(row.code, "is not critical")
    if row.critical and not commands:
        raise _weak(row.code, "is critical, and has no command")
    if row.critical and not all(form in {Protection.SIGNATURE, Protection.BOTH} for form in commands):
        raise _weak(row.code, "is critical, and its command is not signed")
    if row.code in CRITICAL and not set(row.senders) <= _SENDERS.get(row.code, _USUAL_SENDERS):
        raise _weak(row.code, "is sent by a role that may not")
    if Protection.SIGNATURE in commands and row.code not in SIGNATURE_ALONE:
        raise _weak(row.code, "has a command that goes without the broker's MAC")


def _weak(code: MessageCode, what: str) -> InvalidInput:
    return InvalidInput(
        "policy.use-case",
        f"use-cases.toml: {code} {what}",
        "restore the shipped row: this is not for a file to decide",
    )
