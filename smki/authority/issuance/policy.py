"""The rules of issuing, read from `policies/issuance.toml` and held against what the code does not let go."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from smki.entity import KeyUsage, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.pki.kind import Kind
from smki.pki.profile import Profile
from smki.pki.status import Status
from smki.settings import Table, parsed

if TYPE_CHECKING:
    from smki.authority.policies import Hierarchy

MAX_BATCH = 10_000_000
MAX_IN_USE = 4  # more certificates in use for one thing than cells a device has for it would be a mistake
SUBSCRIBING = (Kind.DEVICE, Kind.ORGANISATION, Kind.INFRASTRUCTURE)
_HASH_OCTETS = 32


class _KindTable(Table, frozen=True):
    profile: str
    """The profile that is issued: a file in `profiles/`."""
    hierarchy: str
    """By the authority of which hierarchy."""
    first_status: Literal["pending", "in use"]
    """What a new certificate is: `pending` until the network reports the device, or in use at once."""
    manifest: Literal["optional", "required"]
    """Whether every batch must be signed by an officer of the organisation."""
    years: Annotated[int, Meta(ge=1, le=10)] | None = None
    """How long they are valid; none for devices, and never more than the profile allows."""
    approve_roles: list[str] = []
    """Roles whose certificates wait for an officer of the authority."""
    in_use: dict[
        str, dict[Literal["digitalSignature", "keyAgreement"], Annotated[int, Meta(ge=1, le=MAX_IN_USE)]]
    ] = {}
    """By role and key usage: how many may be in use at a time, where one is not enough."""


class IssuanceFile(Table, frozen=True):
    """What is issued to whom, and when another officer is asked first."""

    largest_batch: Annotated[int, Meta(ge=1, le=MAX_BATCH)]
    """Requests in one run."""
    kinds: dict[str, _KindTable]
    """The rules for `device`, `organisation` and `infrastructure`."""
    blocked_keys: list[str] = []
    """SHA-256 of a SubjectPublicKeyInfo each, hexadecimal: keys known to be in wrong hands."""


@dataclass(frozen=True, slots=True)
class IssuingRule:
    """How one kind of certificate is issued."""

    kind: Kind
    profile: Profile
    hierarchy: "Hierarchy"
    first_status: Status
    manifest_required: bool
    years: int | None
    approve_roles: frozenset[RemotePartyRole]
    in_use: Mapping[tuple[RemotePartyRole, KeyUsage], int]

    def in_use_limit(self, role: RemotePartyRole | None, usage: KeyUsage) -> int:
        return 1 if role is None else self.in_use.get((role, usage), 1)


@dataclass(frozen=True, slots=True)
class IssuancePolicy:
    """What is issued, and within which bounds."""

    largest_batch: int
    blocked: frozenset[bytes]
    rules: Mapping[Kind, IssuingRule]

    def rule(self, kind: Kind) -> IssuingRule:
        return self.rules[kind]


def read_issuance(
    file: IssuanceFile, profiles: Mapping[str, Profile], hierarchies: Mapping[str, "Hierarchy"]
) -> IssuancePolicy:
    """Turn the file into rules, one for each kind that is issued on request."""
    if set(file.kinds) != {kind.value for kind in SUBSCRIBING}:
        raise InvalidInput(
            "policy.kinds",
            "issuance.toml: `kinds` is not exactly device, organisation, infrastructure",
            "give each of the three one table",
        )
    rules = {kind: _rule(kind, file.kinds[kind.value], profiles, hierarchies) for kind in SUBSCRIBING}
    return IssuancePolicy(file.largest_batch, frozenset(_key(text) for text in file.blocked_keys), rules)


def _key(text: str) -> bytes:
    """The part of a digest by which keys are known here."""
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != _HASH_OCTETS:
        raise InvalidInput(
            "policy.blocked-key",
            f"issuance.toml: key `blocked_keys`: {text[:20]!r} is no SHA-256",
            "give 64 hexadecimal digits",
        )
    return digest[:16]


def _role(word: str, where: str) -> RemotePartyRole:
    return parsed(RemotePartyRole.parse, word, where)


def _rule(
    kind: Kind, table: _KindTable, profiles: Mapping[str, Profile], hierarchies: Mapping[str, "Hierarchy"]
) -> IssuingRule:
    where = f"issuance.toml: kinds.{kind.value}"
    if table.profile not in profiles or profiles[table.profile].kind is not kind:
        raise InvalidInput(
            "policy.no-profile", f"{where}.profile: {table.profile[:40]!r} is no {kind.value} profile", "name one"
        )
    if table.hierarchy not in hierarchies:
        raise InvalidInput(
            "policy.no-hierarchy", f"{where}.hierarchy: {table.hierarchy[:40]!r} is none", "see hierarchy.toml"
        )
    profile = profiles[table.profile]
    if (table.years is None) != (profile.longest_years is None) or (table.years or 0) > (profile.longest_years or 10):
        raise Refused(
            "policy.years",
            f"{where}.years: {table.years}, and profile {profile.name} allows {profile.longest_years}",
            "stay within the profile; a device certificate has no end, and no years",
        )
    if kind is Kind.INFRASTRUCTURE and table.manifest == "required":
        raise InvalidInput(
            "policy.manifest",
            f"{where}.manifest: an officer's own certificate cannot be signed for by an officer",
            "leave it optional for infrastructure",
        )
    return IssuingRule(
        kind=kind,
        profile=profile,
        hierarchy=hierarchies[table.hierarchy],
        first_status=Status.parse(table.first_status),
        manifest_required=table.manifest == "required",
        years=table.years,
        approve_roles=frozenset(_role(word, f"{where}.approve_roles") for word in table.approve_roles),
        in_use={
            (_role(role, f"{where}.in_use"), KeyUsage(usage)): limit
            for role, usages in table.in_use.items()
            for usage, limit in usages.items()
        },
    )
