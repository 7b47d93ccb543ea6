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
from smki.settings import MAX_FILE_OCTETS, Table, read_toml

Name = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,39}\Z")]
# What an officer reads before approving must be what stands there: no control characters, no reversed text.
_PLAIN = r"[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
Sentence = Annotated[str, Meta(pattern=rf"\A{_PLAIN}{{1,400}}\Z")]
PersonName = Annotated[str, Meta(pattern=rf"\A(?=\S)(?!.*\s\Z){_PLAIN}{{1,64}}\Z")]
Years = Annotated[int, Meta(ge=1, le=100)]
Approvals = Annotated[int, Meta(ge=1, le=100)]


class ContingencyTable(Table, frozen=True):
    """Where the keys that can replace this root are kept, and how its certificate hides the public one."""

    token: Name
    wrap: Name


class AuthorityCeremony(Table, frozen=True, tag_field="kind", tag="authority"):
    """Make one certificate authority: its key, and its certificate."""

    purpose: Sentence
    name: Name
    hierarchy: Name
    tier: Tier
    profile: Name
    subject: str
    valid_years: Years
    token: Name
    approvals: Approvals
    valid_from: date | None = None
    signed_by: Name | None = None
    succeeds: Name | None = None
    contingency: ContingencyTable | None = None


class OfficerTable(Table, frozen=True):
    """One officer: a name, and the public key that checks their approvals (base64 of the DER)."""

    name: PersonName
    public_key: Annotated[str, Meta(max_length=400)]


class OfficersCeremony(Table, frozen=True, tag_field="kind", tag="officers"):
    """Set the whole roll of officers: the first one, or the one that replaces the present."""

    purpose: Sentence
    officers: Annotated[list[OfficerTable], Meta(max_length=100)]


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
        with path.open("rb") as file:
            octets = file.read(MAX_FILE_OCTETS + 1)
    except OSError as error:
        raise InvalidInput("ceremony.unreadable", f"{path}: {error.strerror}", "name a ceremony file") from None
    kinds: type[AuthorityCeremony | OfficersCeremony] = AuthorityCeremony | OfficersCeremony  # type: ignore[assignment]
    sourced = read_toml(octets, path.name, kinds)
    return CeremonyFile(path, octets, sourced.sha256, sourced.value)
