"""Who may have which certificates revoked (revocation.toml), inside limits that are code."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.stretch import read_stretch
from smki.entity import RemotePartyRole
from smki.errors import Refused
from smki.pki.kind import Kind
from smki.pki.public_key import read_spki
from smki.pki.reason import Reason
from smki.settings import Table, at, parsed

_FILE = "revocation.toml"
# Ceilings: no file lets one person take more certificates away in a day without a second officer.
MOST_CERTIFICATES = 1_000_000
MOST_ALONE = 1000
WINDOW = timedelta(hours=24)
_LONGEST_AGE = timedelta(days=31)
_OLDEST_LIST = timedelta(days=366)
_KINDS = (Kind.ORGANISATION, Kind.DEVICE, Kind.INFRASTRUCTURE, Kind.ISSUING, Kind.LINK)
_AUTHORITY_REASONS = frozenset(Reason) - {Reason.AA_COMPROMISE}
_OTHER_REASONS = _AUTHORITY_REASONS - {Reason.CA_COMPROMISE}

Unknown = Literal["refuse", "take"]


class Requester(Enum):
    """In which capacity a revocation is asked for; the value is how people and files say it."""

    SUBSCRIBER = "subscriber"
    AUTHORITY = "authority"
    POLICY_AUTHORITY = "policy-authority"


# A key in wrong hands must be reported at any hour by whoever it belongs to, and by us.
_MUST_HEAR = (Requester.SUBSCRIBER, Requester.AUTHORITY)


class _RequesterTable(Table, frozen=True):
    reasons: list[str]
    """The reasons each may give: words of `smki cert revoke --reason`."""


class _PolicyAuthorityTable(_RequesterTable, frozen=True):
    names: dict[str, str] = {}
    """With a public key each, as `smki officer key` prints it: its signed requests are believed for their
    signature. Or `""`: they are not."""


class _RequestersTable(Table, frozen=True, rename="kebab"):
    subscriber: _RequesterTable
    """A responsible officer of the organisation that the certificate was issued to."""
    authority: _RequesterTable
    """An officer on the roll of the authority."""
    policy_authority: _PolicyAuthorityTable
    """The policy management authority, by the names it is known under."""


class _KindTable(Table, frozen=True):
    revocable: bool
    """Whether it can be revoked at all; only devices may be spared."""
    signed_only: list[str] = []
    """Reasons for which only a signed request counts, not an administrator's word; never a compromise."""
    approve_roles: list[str] = []
    """Roles that a second officer looks at first; authorities always."""
    approve_above: int = 0
    """So many in a day pass without a second officer: {MOST_ALONE} at most."""


class _StandingTable(Table, frozen=True):
    unknown: Unknown
    """What becomes of those that no list covers."""
    oldest_list: str
    """How old a list may be before it covers nothing: {_OLDEST_LIST} at most."""


@dataclass(frozen=True, slots=True)
class KindRule:
    """How certificates of one kind are revoked."""

    kind: Kind
    revocable: bool
    reasons: frozenset[Reason]
    signed_only: frozenset[Reason]
    approve_roles: frozenset[RemotePartyRole]
    approve_above: int
    """So many in a day pass without a second officer."""


@dataclass(frozen=True, slots=True)
class StandingPolicy:
    """What is taken where this workspace keeps no register."""

    unknown: Unknown
    oldest_list: timedelta


@dataclass(frozen=True, slots=True)
class RevocationPolicy:
    """What revocation.toml says."""

    largest_request: int
    oldest_request: timedelta
    reasons: Mapping[Requester, frozenset[Reason]]
    policy_authority: Mapping[str, ec.EllipticCurvePublicKey | None]
    kinds: Mapping[Kind, KindRule]
    standing: StandingPolicy

    def rule(self, kind: Kind) -> KindRule:
        """A root's word ends with its successor's ceremony; what serves the authority itself is as an officer's."""
        if kind is Kind.ROOT:
            return KindRule(kind, False, frozenset(), frozenset(), frozenset(), 0)
        return self.kinds.get(kind) or self.kinds[Kind.INFRASTRUCTURE]


class RevocationFile(Table, frozen=True):
    """Who may have a certificate revoked, for which reasons, and when a second officer looks first. A compromised
    key can always be reported by the subscriber and by the authority, authorities always wait for a second
    officer, a root is never revoked."""

    largest_request: int
    """Certificates in one request: 1 to {MOST_CERTIFICATES}."""
    oldest_request: str
    """How long after it was signed a request is still taken: {_LONGEST_AGE} at most."""
    requesters: _RequestersTable
    """Who may ask."""
    kinds: dict[str, _KindTable]
    """Each kind of certificate: `organisation`, `device`, `infrastructure`, `issuing`, `link`."""
    standing: _StandingTable
    """Certificates of which this workspace keeps no register."""

    def checked(self) -> RevocationPolicy:
        if not 1 <= self.largest_request <= MOST_CERTIFICATES:
            raise _refused(f"largest_request = {self.largest_request}", f"give 1 to {MOST_CERTIFICATES}")
        if set(self.kinds) != {kind.value for kind in _KINDS}:
            wanted = ", ".join(kind.value for kind in _KINDS)
            raise Refused("policy.revocation", f"{_FILE}: `kinds` is not exactly {wanted}", "give each one table")
        return RevocationPolicy(
            largest_request=self.largest_request,
            oldest_request=read_stretch(self.oldest_request, at(_FILE, "oldest_request"), most=_LONGEST_AGE),
            reasons=self._reasons(),
            policy_authority={
                name: _key(name, text) for name, text in self.requesters.policy_authority.names.items()
            },
            kinds={kind: _rule(kind, self.kinds[kind.value]) for kind in _KINDS},
            standing=StandingPolicy(
                self.standing.unknown,
                read_stretch(self.standing.oldest_list, at(_FILE, "standing.oldest_list"), most=_OLDEST_LIST),
            ),
        )

    def _reasons(self) -> dict[Requester, frozenset[Reason]]:
        tables = (self.requesters.subscriber, self.requesters.authority, self.requesters.policy_authority)
        found = {
            who: _reasons(table.reasons, f"requesters.{who.value}.reasons")
            for who, table in zip(Requester, tables, strict=True)
        }
        for who in _MUST_HEAR:
            if Reason.KEY_COMPROMISE not in found[who]:
                raise _refused(
                    f"requesters.{who.value}.reasons leaves key-compromise out",
                    "add it: a key in wrong hands is reported by whoever learns of it",
                )
        return found


def _reasons(words: list[str], key: str) -> frozenset[Reason]:
    return frozenset(parsed(Reason.parse, word, at(_FILE, key)) for word in words)


def _rule(kind: Kind, table: _KindTable) -> KindRule:
    signed_only = _reasons(table.signed_only, f"kinds.{kind.value}.signed_only")
    if any(reason.is_compromise for reason in signed_only):
        raise _refused(
            f"kinds.{kind.value}.signed_only names a compromise",
            "leave it out: whoever lost a key may have none left to sign with",
        )
    if not 0 <= table.approve_above <= MOST_ALONE:
        raise _refused(f"kinds.{kind.value}.approve_above = {table.approve_above}", f"give 0 to {MOST_ALONE}")
    if not table.revocable and kind is not Kind.DEVICE:
        raise _refused(
            f"kinds.{kind.value}.revocable = false",
            "make it true: only devices ask for no list, and any other compromised key must be heard of",
        )
    if kind.is_authority and table.approve_above:
        raise _refused(
            f"kinds.{kind.value}.approve_above = {table.approve_above}",
            "leave it out: a second officer looks at every authority",
        )
    return KindRule(
        kind=kind,
        revocable=table.revocable,
        reasons=_AUTHORITY_REASONS if kind.is_authority else _OTHER_REASONS,
        signed_only=signed_only,
        approve_roles=frozenset(
            parsed(RemotePartyRole.parse, word, at(_FILE, f"kinds.{kind.value}.approve_roles"))
            for word in table.approve_roles
        ),
        approve_above=table.approve_above,
    )


def _key(name: str, text: str) -> ec.EllipticCurvePublicKey | None:
    if not text:
        return None
    try:
        key = read_spki(base64.b64decode(text, validate=True))
    except ValueError:  # also of what is not ASCII
        key = None
    if key is None:
        raise Refused(
            "policy.revocation",
            f"{at(_FILE, 'requesters.policy-authority.names')}: the key of {name[:40]!r} is no P-256 key",
            "give what `smki officer key` prints",
        )
    return key


def _refused(what: str, remedy: str) -> Refused:
    return Refused("policy.revocation", f"{_FILE}: {what}", remedy)
