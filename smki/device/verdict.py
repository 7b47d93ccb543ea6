"""The checks a device makes of a command, in their order, and what each failure is called (GBCS 6.2.4, 7.2).

  1. form         it is one GBCS message, with its one encoding                               GBCS 7.2
  2. use case     it is a command, and this kind of device knows it                           GBCS 15, 20
  3. target       it is for this device                                                       GBCS 7.2.6
  4. originator   a cell holds its originator, and that cell's role may send it               GBCS 13.1, 17
  5. counter      it is newer than all that role sent before                                  GBCS 4.3.1.5
  6. MAC          the access control broker let it pass                                       GBCS 6.2.4
  7. signature    its originator signed it                                                    GBCS 6.2.2
  8. protection   it carries all that its use case demands                                    GBCS 5.2
  9. act          what it asks for is done, or put off, or cannot be done                     GBCS 9.2, 13, 14

Counters change only for a command that passed 1 to 8, and they change before the act.
"""

from dataclasses import dataclass
from enum import IntEnum

from smki.pki.verdict import Fault


class Step(IntEnum):
    FORM = 1
    USE_CASE = 2
    TARGET = 3
    ORIGINATOR = 4
    COUNTER = 5
    MAC = 6
    SIGNATURE = 7
    PROTECTION = 8
    ACT = 9


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to fail a step: its code, the alert it raises, and what to do."""

    step: Step
    code: str
    alert: int | None
    remedy: str


_ALTERED = 0x8F1E  # integrity check of content or format of command failed
_NO_AUTHORITY = 0x8F30  # source does not have authority for command
_NOT_AUTHENTIC = 0x8F3D  # trusted source authentication failure
_UNAUTHORISED = 0x8F3E  # unauthorised communication access attempted
_OTHER = 0x8F53  # failed authentication or authorisation not covered by other codes

FORM = Rule(Step.FORM, "receive.form", _ALTERED, "send it again, whole")
KIND = Rule(Step.USE_CASE, "receive.kind", _ALTERED, "send commands to devices, and nothing else")
USE_CASE = Rule(Step.USE_CASE, "receive.use-case", _NO_AUTHORITY, "send it to a device that knows it")
TARGET = Rule(Step.TARGET, "receive.target", None, "send it to the device it is for")
ORIGINATOR = Rule(
    Step.ORIGINATOR, "receive.originator", _UNAUTHORISED, "have the device's cells hold your certificate"
)
ROLE = Rule(Step.ORIGINATOR, "receive.role", _NO_AUTHORITY, "have it sent by a role that may")
NOT_JOINED = Rule(
    Step.ORIGINATOR,
    "receive.not-joined",
    _UNAUTHORISED,
    "have the two devices joined, each with the other's certificate",
)
REPLAY = Rule(Step.COUNTER, "receive.counter", _OTHER, "number commands upwards; a late one is sent anew")
TOKEN_REPLAY = Rule(Step.COUNTER, "receive.token-used", 0x8F51, "a token pays once")
MAC = Rule(
    Step.MAC, "receive.mac", _NOT_AUTHENTIC, "have the broker MAC it anew, with the device's certificate in use"
)
SIGNATURE = Rule(
    Step.SIGNATURE, "receive.signature", _NOT_AUTHENTIC, "have it signed with the key in the device's cell"
)
PROTECTION = Rule(Step.PROTECTION, "receive.protection", _NOT_AUTHENTIC, "send it with all its protections")
PAYLOAD = Rule(Step.ACT, "receive.payload", _ALTERED, "send what the use case says")
CREDENTIALS = Rule(Step.ACT, "receive.credentials", _NO_AUTHORITY, "order what its mode allows, and say it once")
TOKEN = Rule(Step.ACT, "receive.token", 0x8F63, "have the supplier make the token for this meter")
NOT_DONE = Rule(Step.ACT, "receive.not-done", None, "this device does not act on it")
ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a device thought of a command."""

    code: str
    step: Step
    message: str
    remedy: str = ""
    alert: int | None = None

    @property
    def accepted(self) -> bool:
        return self.code == ACCEPTED

    @classmethod
    def of(cls, rule: Rule, message: str) -> "Verdict":
        return cls(rule.code, rule.step, message, rule.remedy, rule.alert)

    @property
    def fault(self) -> Fault | None:
        return None if self.accepted else Fault(self.code, self.message, self.remedy)


class Failed(Exception):
    """A check that failed."""

    def __init__(self, rule: Rule, message: str) -> None:
        super().__init__(message)
        self.verdict = Verdict.of(rule, message)
