"""Payloads of joins on the home network and of device logs: CS03, CS04, CS07, GCS59, GCS62 (GBCS 13.7, 13.8)."""

from enum import IntEnum

from cryptography import x509
from cryptography.hazmat import asn1

from smki.gbcs.header import MessageCode
from smki.gbcs.payload.declared import Entity, Outcome


@asn1.value_set(int)
class JoinMethod(IntEnum):
    """joinMethodAndRole."""

    A_INITIATOR = 0
    A_RESPONDER = 1
    B = 2
    C = 3


@asn1.value_set(int)
class NamedDevice(IntEnum):
    """deviceType: the kinds that a join or a log can name. Their names are those of `smki.entity.DeviceType`."""

    GSME = 0
    ESME = 1
    CHF = 2
    GPF = 3
    HCALCS = 4
    PPMID = 5
    TYPE_2 = 6


class JoinCode(Outcome):
    """joinResponseCode: what became of a join (GBCS 13.7)."""

    SUCCESS = 0
    INVALID_MESSAGE_CODE = 1
    """For the method and role that the payload names."""
    INVALID_METHOD_AND_ROLE = 2
    INCOMPATIBLE_WITH_EXISTING_ENTRY = 3
    DEVICE_LOG_FULL = 4
    WRITE_FAILURE = 5
    NO_RESOURCES = 6
    UNKNOWN_ISSUER = 7
    UNSUPPORTED_SUITE = 8
    BAD_MESSAGE = 9
    BAD_KEY_CONFIRM = 10
    INVALID_OR_MISSING_CERTIFICATE = 11
    NO_PARTNER_LINK_KEY = 12
    NO_RESPONSE = 13

    @property
    def words(self) -> str:
        return _JOIN_WORDS.get(self, super().words)


_JOIN_WORDS = {
    JoinCode.INVALID_MESSAGE_CODE: "invalid message code for join method and role",
    JoinCode.INVALID_METHOD_AND_ROLE: "invalid join method and role",
    JoinCode.NO_RESOURCES: "key agreement: no resources",
    JoinCode.UNKNOWN_ISSUER: "key agreement: unknown issuer",
    JoinCode.UNSUPPORTED_SUITE: "key agreement: unsupported suite",
    JoinCode.BAD_MESSAGE: "key agreement: bad message",
    JoinCode.BAD_KEY_CONFIRM: "key agreement: bad key confirm",
    JoinCode.NO_PARTNER_LINK_KEY: "no partner link key received",
    JoinCode.NO_RESPONSE: "no CBKE response",
}


class UnjoinCode(Outcome):
    """What became of an unjoin (GBCS 13.7)."""

    SUCCESS = 0
    NOT_IN_DEVICE_LOG = 1
    OTHER_FAILURE = 2


class ReadLogCode(Outcome):
    """readLogResponseCode."""

    SUCCESS = 0
    READ_FAILURE = 1


CS03A1, CS03A2, CS03B, CS03C = (MessageCode(code) for code in (0x000D, 0x00AB, 0x000E, 0x00AF))
CS04AC, CS04B = MessageCode(0x000F), MessageCode(0x0010)
CS07, GCS59, GCS62 = MessageCode(0x0013), MessageCode(0x008C), MessageCode(0x00B2)
JOIN_CODES = {
    JoinMethod.A_INITIATOR: CS03A1,
    JoinMethod.A_RESPONDER: CS03A2,
    JoinMethod.B: CS03B,
    JoinMethod.C: CS03C,
}
"""The one message code that each method and role has."""
UNJOIN_CODES = {method: CS04B if method is JoinMethod.B else CS04AC for method in JoinMethod}


@asn1.sequence
class Join:
    """The certificate is there exactly for method C (GBCS 13.7.4)."""

    method: JoinMethod
    other_device: Entity
    other_device_type: NamedDevice
    other_device_certificate: x509.Certificate | None


@asn1.sequence
class JoinCommand:
    payload: Join


@asn1.sequence
class UnjoinCommand:
    payload: Entity


@asn1.sequence
class LogEntry:
    device: Entity
    device_type: NamedDevice


@asn1.sequence
class NothingCommand:
    """A command that asks without saying more."""

    payload: asn1.Null


@asn1.sequence
class Log:
    code: int
    entries: list[LogEntry] | None


@asn1.sequence
class LogResponse:
    payload: Log


@asn1.sequence
class Restore:
    entries: list[LogEntry]


@asn1.sequence
class RestoreCommand:
    payload: Restore


@asn1.sequence
class RestoreOutcome:
    entry: LogEntry
    code: int


@asn1.sequence
class RestoreOutcomes:
    outcomes: list[RestoreOutcome]


@asn1.sequence
class RestoreResponse:
    payload: RestoreOutcomes


@asn1.sequence
class LogNotice:
    alert_code: int
    backup_date_time: asn1.GeneralizedTime
    entries: list[LogEntry]


@asn1.sequence
class LogAlert:
    payload: LogNotice
