"""Payloads of joins on the home network and of device logs: CS03, CS04, CS07, GCS59, GCS62 (GBCS 13.7, 13.8)."""

from enum import IntEnum

from cryptography import x509
from cryptography.hazmat import asn1

from smki.gbcs.payload.declared import Entity


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
