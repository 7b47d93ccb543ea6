"""What a device remembers: its cells, its counters, what it was told, what happened; and how that is kept in a file.

A state never changes: each command makes the next one. Its file has one form, a version, and a SHA-256 over all of
it; it holds the device's private keys, because it stands for the device.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from smki.device.bundle import Bundle, own_key, use_cases_as_json, use_cases_from_json
from smki.device.cells import Cell, CellName, Cells
from smki.device.network import Network, as_base64, from_base64, network_as_json, network_from_json, read_moment
from smki.device.update import Floors, read_update
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.errors import IntegrityFailure, InvalidInput, Refused
from smki.gbcs.agreement import Agreement
from smki.gbcs.use_case import UseCases
from smki.words import utc

FORM = "smki-device-state/1"
MAX_STATE_OCTETS = 1 << 24
TOKENS_KEPT = 100  # numbers of prepayment tokens that were paid, the latest (a hypothesis: GBCS 14 was not available)
LOG_KEPT = 1000
SECRETS_KEPT = 16  # as many as a device has cells with keys to agree with, and some that are sent along


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the device's security log."""

    at: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Pending:
    """An update of credentials that was put off: until when, by whom, and what it says."""

    at: datetime
    originator: EntityId
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Past:
    """Someone who had a role once."""

    role: RemotePartyRole
    entity: EntityId


def new_pair() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class DeviceKeys:
    """The device's own private keys: in memory, or in whatever keeps them."""

    signing: ec.EllipticCurvePrivateKey = field(repr=False)
    agreement: ec.EllipticCurvePrivateKey = field(repr=False)
    asked: Mapping[KeyUsage, ec.EllipticCurvePrivateKey] = field(default_factory=dict, repr=False)
    """Pairs that were made, and wait for their certificates: the last that was asked for of each usage."""
    make: Callable[[], ec.EllipticCurvePrivateKey] = field(default=new_pair, repr=False, compare=False)
    """Where new pairs come from."""
    keep: int = SECRETS_KEPT
    """How many secrets shared with remote parties stay in memory, as they do in a meter; 0 agrees anew each time."""

    @cached_property
    def secrets(self) -> Agreement:
        """What this device shares with others: by the certificate of theirs it was agreed with."""
        return Agreement(self.agreement, self.keep)


@dataclass(frozen=True)
class DeviceState:
    """Everything a device knows at a moment."""

    device: EntityId
    kind: DeviceType
    bundle: int
    """The version of the last bundle it was given."""
    cells: Cells
    counters: Mapping[RemotePartyRole, int]
    """The highest counter of each role."""
    tokens: tuple[int, ...]
    """Numbers of prepayment tokens, the latest that were paid, in order."""
    token_floor: int
    """Every number up to here is used up."""
    own_counter: int
    """The next counter of its own: of alerts, and of what it encrypts for those it does not know."""
    own: Mapping[KeyUsage, bytes]
    use_cases: UseCases = field(repr=False)
    values: Mapping[str, bytes] = field(default_factory=dict)
    """Attributes that were set, by class, object and number: their DLMS octets."""
    log: tuple[LogLine, ...] = ()
    pending: tuple[Pending, ...] = ()
    """What was put off, one of a mode."""
    past: Mapping[Past, Floors] = field(default_factory=dict)
    """The highest counters ever heard from those who had a role before, the latest last."""
    network: Network = field(default_factory=Network)
    """Its side of the home network: whom it is joined with."""

    def logged(self, at: datetime, code: str, text: str) -> "DeviceState":
        line = LogLine(utc(at), code, text)
        return replace(self, log=(*self.log, line)[-LOG_KEPT:])


def new_state(bundle: Bundle, keys: DeviceKeys, first_counter: int = 1) -> DeviceState:
    """A device that was just given its first bundle."""
    refuse_others(bundle, keys)
    return DeviceState(
        device=bundle.device,
        kind=bundle.kind,
        bundle=bundle.version,
        cells=bundle.cells,
        counters=dict(bundle.counters),
        tokens=(),
        token_floor=bundle.top_up_floor,
        own_counter=first_counter,
        own=bundle.own,
        use_cases=bundle.use_cases,
        network=Network(bundle.joins),
    )


def refuse_others(bundle: Bundle, keys: DeviceKeys) -> None:
    """A bundle is for the device whose keys its certificates are of."""
    for usage, key in ((KeyUsage.DIGITAL_SIGNATURE, keys.signing), (KeyUsage.KEY_AGREEMENT, keys.agreement)):
        if own_key(bundle, usage) != key.public_key():
            raise Refused(
                "bundle.key",
                f"the {usage.value} certificate in the bundle is of another key",
                "give the device's keys",
            )


# The file


def write_state(state: DeviceState, keys: DeviceKeys) -> bytes:
    """The octets of a state's file."""
    body = {
        "device": str(state.device),
        "device_type": state.kind.value,
        "bundle": str(state.bundle),
        "cells": {str(name): as_base64(cell.certificate) for name, cell in state.cells.items()},
        "counters": {role.word: str(counter) for role, counter in state.counters.items()},
        "tokens": [str(number) for number in state.tokens],
        "token_floor": str(state.token_floor),
        "own_counter": str(state.own_counter),
        "own": {usage.value: as_base64(der) for usage, der in state.own.items()},
        "use_cases": use_cases_as_json(state.use_cases, None),
        "values": {name: octets.hex() for name, octets in state.values.items()},
        "log": [[line.at, line.code, line.text] for line in state.log],
        "pending": [[one.at.isoformat(), str(one.originator), as_base64(one.payload)] for one in state.pending],
        "past": [
            [one.role.word, str(one.entity), str(floors.counter), str(floors.top_up or 0)]
            for one, floors in state.past.items()
        ],
        "network": network_as_json(state.network),
        "keys": {
            "signing": _private(keys.signing),
            "agreement": _private(keys.agreement),
            "asked": {usage.value: _private(key) for usage, key in keys.asked.items()},
        },
    }
    return _canonical({"form": FORM, "sha256": hashlib.sha256(_canonical(body)).hexdigest(), "state": body}) + b"\n"


def read_state(octets: bytes) -> tuple[DeviceState, DeviceKeys]:
    """A state from its file, if it is whole."""
    if len(octets) > MAX_STATE_OCTETS:
        raise _wrong(f"{len(octets)} octets, and {MAX_STATE_OCTETS} is the limit")
    try:
        file = json.loads(octets)
        if file["form"] != FORM:
            raise _wrong(f"form {str(file['form'])[:30]!r}, and {FORM} is known here")
        body, digest = file["state"], str(file["sha256"])
        if not hmac.compare_digest(hashlib.sha256(_canonical(body)).hexdigest(), digest):
            raise IntegrityFailure(
                "device.state-changed", "the state was changed, or not written whole", "restore it, or make a new one"
            )
        return _read_body(body), _read_keys(body["keys"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _wrong(type(error).__name__) from None


def _read_body(body: Mapping[str, Any]) -> DeviceState:
    cells = {CellName.parse(text): octets for text, octets in body["cells"].items()}
    return DeviceState(
        device=EntityId.parse(body["device"]),
        kind=DeviceType.parse(body["device_type"]),
        bundle=int(body["bundle"]),
        cells={name: Cell.of(from_base64(text), name) for name, text in cells.items()},
        counters={RemotePartyRole.parse(role): int(text) for role, text in body["counters"].items()},
        tokens=tuple(int(text) for text in body["tokens"]),
        token_floor=int(body["token_floor"]),
        own_counter=int(body["own_counter"]),
        own={KeyUsage(usage): from_base64(text) for usage, text in body["own"].items()},
        use_cases=use_cases_from_json(body["use_cases"]),
        values={name: bytes.fromhex(text) for name, text in body["values"].items()},
        log=tuple(LogLine(*(str(part) for part in line)) for line in body["log"]),
        pending=tuple(_read_pending(*one) for one in body["pending"]),
        past={
            Past(RemotePartyRole.parse(role), EntityId.parse(entity)): Floors(int(counter), int(top_up))
            for role, entity, counter, top_up in body["past"]
        },
        network=network_from_json(body["network"]),
    )


def _read_pending(at: str, originator: str, payload: str) -> Pending:
    octets = from_base64(payload)
    read_update(octets)
    return Pending(read_moment(at), EntityId.parse(originator), octets)


def _read_keys(keys: Mapping[str, Any]) -> DeviceKeys:
    asked = {KeyUsage(usage): _read_private(text) for usage, text in keys["asked"].items()}
    return DeviceKeys(_read_private(keys["signing"]), _read_private(keys["agreement"]), asked)


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    return as_base64(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def _read_private(text: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_der_private_key(from_base64(text), password=None)
    except UnsupportedAlgorithm:
        raise TypeError from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError
    return key


def _wrong(reason: str) -> InvalidInput:
    return InvalidInput("device.state", f"no device state: {reason}", "make one: `smki device state new`")
