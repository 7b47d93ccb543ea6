"""The ceremony file: one reviewable TOML page that says what is to be made, by which key, with how many officers.

Its SHA-256 is what officers approve, so everything that decides the outcome stands in it.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from smki.authority.policies import Tier
from smki.errors import InvalidInput
from smki.settings import Table, octets_of, read_toml

Name = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,39}\Z", description="name: small letters, digits, `-`")]
# What an officer reads before approving must be what stands there: no control characters, no reversed text.
_PLAIN = r"[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
Sentence = Annotated[str, Meta(pattern=rf"\A{_PLAIN}{{1,400}}\Z", description="sentence, 400 characters at most")]
PersonName = Annotated[
    str, Meta(pattern=rf"\A(?=\S)(?!.*\s\Z){_PLAIN}{{1,64}}\Z", description="text, 64 characters at most")
]
Years = Annotated[int, Meta(ge=1, le=100)]
Approvals = Annotated[int, Meta(ge=1, le=100)]


class ContingencyTable(Table, frozen=True):
    """Where the keys that can replace this root are kept, and how its certificate hides the public one."""

    token: Name
    """The token they are kept in."""
    wrap: Name
    """The form in which the certificate hides the public key: `rfc5934`."""


class AuthorityCeremony(Table, frozen=True, tag_field="kind", tag="authority"):
    """Make one certificate authority: its key, and its certificate."""

    purpose: Sentence
    """Why, for those who approve."""
    name: Name
    """What the authority is called."""
    hierarchy: Name
    """In which hierarchy."""
    tier: Tier
    """Whether it is its root or issues."""
    profile: Name
    """The profile of its certificate."""
    subject: str
    """Its common name, such as `Z1`."""
    valid_years: Years
    """How long its certificate is valid; never more than the profile allows."""
    token: Name
    """The token in which its key is made."""
    approvals: Approvals
    """By how many officers this is approved: never fewer than `quorum.toml` says."""
    valid_from: date | None = None
    """The first day; without it, the day it is run."""
    signed_by: Name | None = None
    """The authority that signs it; a root signs itself."""
    succeeds: Name | None = None
    """The authority it takes over from."""
    contingency: ContingencyTable | None = None
    """Of a root that carries the key that can replace it."""


class OfficerTable(Table, frozen=True):
    """One officer: a name, and the public key that checks their approvals (base64 of the DER)."""

    name: PersonName
    """What the officer is called."""
    public_key: Annotated[str, Meta(max_length=400)]
    """As `smki officer key` prints it."""


class OfficersCeremony(Table, frozen=True, tag_field="kind", tag="officers"):
    """Set the whole roll of officers: the first one, or the one that replaces the present."""

    purpose: Sentence
    """Why, for those who approve."""
    officers: Annotated[list[OfficerTable], Meta(max_length=100)]
    """The whole roll."""


@dataclass(frozen=True, slots=True)
class CeremonyFile:
    """A ceremony as read from its file, with the very octets and the digest that officers approve."""

    path: Path
    octets: bytes
    sha256: bytes
    plan: AuthorityCeremony | OfficersCeremony


def read_ceremony(path: Path) -> CeremonyFile:
    """Read the file once; whatever happens to it afterwards does not change what is judged and run."""
    try:
        octets = octets_of(path)
    except OSError as error:
        raise InvalidInput("ceremony.unreadable", f"{path}: {error.strerror}", "name a ceremony file") from None
    kinds: type[AuthorityCeremony | OfficersCeremony] = AuthorityCeremony | OfficersCeremony  # type: ignore[assignment]
    sourced = read_toml(octets, path.name, kinds)
    return CeremonyFile(path, octets, sourced.sha256, sourced.value)
