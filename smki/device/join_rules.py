"""Which devices may join which, and how (GBCS 13.7.1.2): a limit in code, and rules from a file within it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from cryptography import x509

from smki.entity import DeviceType
from smki.errors import Refused
from smki.gbcs.payload.joins import JoinMethod, NamedDevice
from smki.pki.holder import load_certificate

MAX_CAPACITY = 64  # entries of a device log: more than a home has devices; bounds every answer
MAX_REMOVED = 15  # whose link keys a hub still knows (mapping table, CCS02)
MAX_ISSUERS = 32
REFUSALS = frozenset({1, 2, 3, 4, 9, 11, 12, 13, 14, 15, 16, 17, 18, 250})
"""Results of access that are no success (Green Book 9.5, Data-Access-Result)."""


class Method(Enum):
    """How two devices come to share a secret; the value is how files write it."""

    A = "A"
    """Over the network, both told: the second named first, then the first, which begins."""
    B = "B"
    """Over the network, one told: what it says goes one way."""
    C = "C"
    """From certificates that the commands carry, without a word between the two."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two kinds of device that may be joined. The first is the meter, or for B the one that is told."""

    method: Method
    first: DeviceType
    second: DeviceType

    def __str__(self) -> str:
        return f"{self.first.value} with {self.second.value} by method {self.method.value}"


_KIND = DeviceType
LIMIT = frozenset(
    Pair(method, first, second)
    for method, first, second in (
        (Method.A, _KIND.ESME, _KIND.PPMID),
        (Method.A, _KIND.ESME, _KIND.HCALCS),
        (Method.B, _KIND.ESME, _KIND.TYPE_2),
        (Method.B, _KIND.GSME, _KIND.GPF),
        (Method.B, _KIND.GPF, _KIND.TYPE_2),
        (Method.B, _KIND.GPF, _KIND.PPMID),
        (Method.C, _KIND.GSME, _KIND.PPMID),
    )
)
"""No file joins others."""

NAMED = {
    NamedDevice.GSME: _KIND.GSME,
    NamedDevice.ESME: _KIND.ESME,
    NamedDevice.CHF: _KIND.CHF,
    NamedDevice.GPF: _KIND.GPF,
    NamedDevice.HCALCS: _KIND.HCALCS,
    NamedDevice.PPMID: _KIND.PPMID,
    NamedDevice.TYPE_2: _KIND.TYPE_2,
}
NAMES = {kind: name for name, kind in NAMED.items()}
"""How commands name kinds of device; an SAPC has no name there, so it joins nobody."""


@dataclass(frozen=True)
class JoinRules:
    """What a device was given of the rules. One that was given none joins nobody."""

    pairs: frozenset[Pair] = frozenset()
    capacity: Mapping[DeviceType, int] = field(default_factory=dict)
    """How many entries the log of each kind takes; for a hub, how many devices it lists."""
    removed: int = MAX_REMOVED
    not_listed: int = 1
    """What a hub answers when it is to remove a device that it does not list (Green Book 9.5: hardware fault)."""
    full: int = 250
    """And when its whitelist has no room (other reason)."""
    issuers: tuple[bytes, ...] = ()
    """Authorities' certificates: those that device certificates shown over the network must come from."""

    def __post_init__(self) -> None:
        for pair in sorted(self.pairs - LIMIT, key=str):
            raise Refused("policy.joins", f"joins.toml: {pair}", "no file joins these: take the row out")
        if not all(0 <= size <= MAX_CAPACITY for size in self.capacity.values()):
            raise Refused("policy.joins", "joins.toml: a capacity out of range", f"give 0 to {MAX_CAPACITY}")
        if not {self.not_listed, self.full} <= REFUSALS:
            raise Refused(
                "policy.joins",
                "joins.toml: whitelist.not_listed or whitelist.full is no result of access",
                f"give one of {sorted(REFUSALS)}",
            )
        if not 0 <= self.removed <= MAX_REMOVED or len(self.issuers) > MAX_ISSUERS:
            raise Refused("policy.joins", "joins.toml: removed.kept", f"give 0 to {MAX_REMOVED}")

    def permits(self, method: JoinMethod, own: DeviceType, other: DeviceType) -> bool:
        """Whether a device of one kind may play this part with one of another."""
        return Pair(*_in_order(method, own, other)) in self.pairs or (
            method is JoinMethod.C and Pair(Method.C, other, own) in self.pairs
        )

    @cached_property
    def issuing(self) -> tuple[x509.Certificate, ...]:
        return tuple(load_certificate(der, "an authority for devices") for der in self.issuers)


def _in_order(method: JoinMethod, own: DeviceType, other: DeviceType) -> tuple[Method, DeviceType, DeviceType]:
    match method:
        case JoinMethod.A_INITIATOR:
            return Method.A, own, other
        case JoinMethod.A_RESPONDER:
            return Method.A, other, own
        case JoinMethod.B:
            return Method.B, own, other
        case JoinMethod.C:
            return Method.C, own, other


NO_RULES = JoinRules()
