"""Payloads of CS02a to CS02g: what a device holds of others' certificates and of its own (GBCS 13).

Maker and device share these declarations. Certificates stay as their octets: which of them are fit is for the device
to say, one by one.
"""

from enum import IntEnum
from typing import Annotated

from cryptography.hazmat import asn1

from smki.entity import RemotePartyRole
from smki.gbcs.header import MessageCode
from smki.gbcs.payload.declared import Entity, KeyIdentifierOctets, Outcome

CS02A, CS02F = MessageCode(0x0008), MessageCode(0x011B)
CS02C, CS02D, CS02E = MessageCode(0x000A), MessageCode(0x000B), MessageCode(0x000C)


@asn1.value_set(int)
class CellUsage(IntEnum):
    """What the key in a trust anchor cell is for, beyond its key usage."""

    MANAGEMENT = 0
    PREPAYMENT_TOP_UP = 1


@asn1.value_set(int)
class Mode(IntEnum):
    """CredentialsReplacementMode: who replaces whose certificates (GBCS 13.3)."""

    ROOT_BY_SUPPLIER = 0
    ROOT_BY_WAN_PROVIDER = 1
    SUPPLIER_BY_SUPPLIER = 2
    NETWORK_OPERATOR_BY_NETWORK_OPERATOR = 3
    ACCESS_CONTROL_BROKER_BY_ACB = 4
    WAN_PROVIDER_BY_WAN_PROVIDER = 5
    TRANS_COS_BY_TRANS_COS = 6
    SUPPLIER_BY_TRANS_COS = 7
    ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY = 8
    ANY_BY_CONTINGENCY = 9
    LOAD_CONTROLLER_BY_LOAD_CONTROLLER = 10
    LOAD_CONTROLLER_BY_SUPPLIER = 11


@asn1.value_set(int)
class TimeChecks(IntEnum):
    """applyTimeBasedCPVChecks: whether validity times count when certificates are checked."""

    APPLY = 0
    DISAPPLY = 1


@asn1.value_set(int)
class CounterUsage(IntEnum):
    """Which of a role's counters is meant, beside the one for all its commands."""

    PREPAYMENT_TOP_UP = 0


class StatusCode(Outcome):
    """What became of one replacement (GBCS 13.3; the numbers of RFC 5934)."""

    SUCCESS = 0
    BAD_CERTIFICATE = 5
    NO_TRUST_ANCHOR = 10
    INSUFFICIENT_MEMORY = 17
    TRUST_ANCHOR_NOT_FOUND = 25
    RESOURCES_BUSY = 30
    OTHER = 127


class CertificateCode(Outcome):
    """What became of a certificate of the device's own (CS02d)."""

    SUCCESS = 0
    INVALID_CERTIFICATE = 1
    WRONG_DEVICE_IDENTITY = 2
    INVALID_KEY_USAGE = 3
    NO_CORRESPONDING_KEY_PAIR_GENERATED = 4
    WRONG_PUBLIC_KEY = 5
    CERTIFICATE_STORAGE_FAILED = 6
    PRIVATE_KEY_CHANGE_FAILED = 7


class RequestCode(Outcome):
    """Why there is no certification request (CS02c)."""

    INVALID_KEY_USAGE = 1
    KEY_PAIR_GENERATION_FAILED = 2
    CERTIFICATION_REQUEST_PRODUCTION_FAILED = 3


class ProvideCode(Outcome):
    """Why there is no certificate (CS02e)."""

    INVALID_KEY_USAGE = 1
    NO_CERTIFICATE_HELD = 2
    CERTIFICATE_RETRIEVAL_FAILURE = 3


@asn1.sequence
class CellIdentifier:
    """TrustAnchorCellIdentifier."""

    role: RemotePartyRole
    key_usage: asn1.BitString
    cell_usage: Annotated[CellUsage, asn1.Default(CellUsage.MANAGEMENT)]


# CS02a, CS02f: Provide Security Credential Details


@asn1.sequence
class DetailsRequest:
    authorising_cell: CellIdentifier
    roles: list[RemotePartyRole]


@asn1.sequence
class DetailsCommand:
    payload: DetailsRequest


@asn1.sequence
class CellContents:
    key_usage: asn1.BitString
    cell_usage: Annotated[CellUsage, asn1.Default(CellUsage.MANAGEMENT)]
    subject_unique_id: Entity
    subject_key_identifier: KeyIdentifierOctets


@asn1.sequence
class RoleDetails:
    role: RemotePartyRole
    status_code: asn1.TLV
    current_counter: int | None
    cells: list[CellContents] | None


@asn1.sequence
class DetailsResponse:
    payload: list[RoleDetails]


@asn1.sequence
class CellContentsWithDefault:
    """As some devices write it: cell usage `management` written out, which DER leaves out (X.690 11.5)."""

    key_usage: asn1.BitString
    cell_usage: CellUsage
    subject_unique_id: Entity
    subject_key_identifier: KeyIdentifierOctets


@asn1.sequence
class RoleDetailsWithDefault:
    role: RemotePartyRole
    status_code: asn1.TLV
    current_counter: int | None
    cells: list[CellContentsWithDefault] | None


@asn1.sequence
class DetailsResponseWithDefault:
    payload: list[RoleDetailsWithDefault]


# CS02b, CS02g: Update Security Credentials


@asn1.sequence
class SpecialCounter:
    """SpecialistSeqNumber."""

    usage: CounterUsage
    counter: int


@asn1.sequence
class CounterChange:
    """RemotePartySeqNumberChange."""

    role: RemotePartyRole
    floor: int
    special_floors: list[SpecialCounter] | None


@asn1.sequence
class Control:
    """AuthorisingRemotePartyControl."""

    mode: Mode
    symmetric_key: Annotated[bytes | None, asn1.Implicit(0)]
    time_checks: Annotated[TimeChecks, asn1.Implicit(1), asn1.Default(TimeChecks.APPLY)]
    authorising_cell: Annotated[CellIdentifier | None, asn1.Implicit(2)]
    originator_counter: Annotated[int, asn1.Implicit(3)]
    new_floor: Annotated[int | None, asn1.Implicit(4)]
    new_special_floors: Annotated[list[SpecialCounter] | None, asn1.Implicit(5)]
    other_floors: Annotated[list[CounterChange] | None, asn1.Implicit(6)]


@asn1.sequence
class Replacement:
    certificate: asn1.TLV
    cell: CellIdentifier


@asn1.sequence
class Update:
    control: Control
    replacements: list[Replacement]
    path_certificates: list[asn1.TLV]
    execution_date_time: asn1.GeneralizedTime | None


@asn1.sequence
class UpdateCommand:
    payload: Update


@asn1.sequence
class ReplacementOutcome:
    cell: CellIdentifier
    status_code: asn1.TLV
    existing_subject_unique_id: Entity
    existing_subject_key_identifier: KeyIdentifierOctets
    replacing_subject_unique_id: Entity
    replacing_subject_key_identifier: KeyIdentifierOctets


@asn1.sequence
class UpdateOutcome:
    originator_counter: int
    mode: Mode
    counter_changes: list[CounterChange]
    replacements: list[ReplacementOutcome]


@asn1.sequence
class UpdateAnswer:
    command_accepted: asn1.Null
    outcome: UpdateOutcome | None


@asn1.sequence
class UpdateResponse:
    payload: UpdateAnswer


@asn1.sequence
class UpdateNotice:
    alert_code: int
    execution_date_time: asn1.GeneralizedTime
    outcome: UpdateOutcome


@asn1.sequence
class UpdateAlert:
    payload: UpdateNotice


# CS02c, CS02d, CS02e: the device's own keys


@asn1.sequence
class KeyUsageWanted:
    key_usage: asn1.BitString


@asn1.sequence
class OwnKeyCommand:
    """CS02c and CS02e."""

    payload: KeyUsageWanted


@asn1.sequence
class OwnKeyResponse:
    """CS02c a certification request, CS02e a certificate; or why not, as a number."""

    payload: asn1.TLV


@asn1.sequence
class CertificateCommand:
    """CS02d."""

    payload: asn1.TLV


@asn1.sequence
class CodeResponse:
    """A number: what became of a command."""

    payload: int
