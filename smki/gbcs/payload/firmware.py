"""Payloads of firmware and of the gas meter's clock: CS06, CS08, CS09, GCS28 (GBCS 11, annex 3)."""

from typing import Annotated

from cryptography.hazmat import asn1

from smki.gbcs.header import MessageCode
from smki.gbcs.payload.declared import Outcome

CS06, CS06_ALERT, CS08, CS09 = (MessageCode(code) for code in (0x0012, 0x00CA, 0x0129, 0x012B))
GCS28 = MessageCode(0x007F)
ImageHash = Annotated[bytes, asn1.Size(32, 32)]
Version = Annotated[bytes, asn1.Size(4, 4)]


class ActivationCode(Outcome):
    """activateImageResponseCode."""

    SUCCESS = 0
    NO_IMAGE_HELD = 1
    HASH_MISMATCH = 2
    ACTIVATION_FAILURE = 3


class ClockStatus(Outcome):
    """deviceTimeStatus."""

    RELIABLE = 0
    INVALID = 1
    UNRELIABLE = 2


@asn1.sequence
class Activation:
    image_hash: ImageHash
    originator_counter: int
    execution_date_time: asn1.GeneralizedTime | None


@asn1.sequence
class ActivationCommand:
    payload: Activation


@asn1.sequence
class ActivationOutcome:
    code: int
    firmware_version: Version


@asn1.sequence
class ActivationResponse:
    """NULL when it is to happen later."""

    payload: asn1.Null | ActivationOutcome


@asn1.sequence
class ActivationNotice:
    alert_code: int
    execution_date_time: asn1.GeneralizedTime
    originator_counter: int
    outcome: ActivationOutcome


@asn1.sequence
class ActivationAlert:
    payload: ActivationNotice


@asn1.sequence
class HanVersion:
    firmware_version: Version
    code: int


@asn1.sequence
class HanVersionResponse:
    """CS08: of a PPMID or HCALCS."""

    payload: HanVersion


@asn1.sequence
class HanActivation:
    alert_code: int
    activation_date_time: asn1.GeneralizedTime
    firmware_version: Version
    code: int


@asn1.sequence
class HanActivationAlert:
    """CS09."""

    payload: HanActivation


@asn1.sequence
class Interval:
    validity_interval_start: asn1.GeneralizedTime
    validity_interval_end: asn1.GeneralizedTime


@asn1.sequence
class ClockCommand:
    payload: Interval


@asn1.sequence
class Clock:
    device_time: asn1.GeneralizedTime
    status: int


@asn1.sequence
class ClockResponse:
    payload: Clock
