"""Who answers, for how long an answer holds, and how much one asks for at most (ocsp.toml)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from smki.authority.stretch import read_stretch
from smki.errors import InvalidInput, Refused
from smki.pki.kind import Kind
from smki.pki.profile import Profile
from smki.settings import Table, at

_FILE = "ocsp.toml"
_SECOND = timedelta(seconds=1)
# Ceilings: no file lets a stolen responder's key, or an answer given once, serve longer.
MOST_DAYS = 365
MOST_VALID = timedelta(days=7)
LEAST_VALID = timedelta(minutes=1)
MOST_CACHED = timedelta(hours=1)
MOST_PATIENCE = timedelta(minutes=1)
MOST_IDLE = timedelta(minutes=10)
_FORMS = 2  # in which clients name a certificate

_Count = Annotated[int, Meta(ge=1, le=1_000_000)]


class _ResponderTable(Table, frozen=True):
    profile: str
    """The profile it is issued by."""
    days: Annotated[int, Meta(ge=1)]
    """How long it is valid: {MOST_DAYS} days at most."""
    renew: Annotated[int, Meta(ge=0)]
    """Days before its end from which `smki ocsp appoint` makes the next; below `days`."""


class _AnswersTable(Table, frozen=True):
    valid: str
    """From thisUpdate to nextUpdate: {LEAST_VALID} to {MOST_VALID}."""
    refresh: str
    """After this a kept answer is signed anew; below `valid`."""
    http_cache: str
    """How long a cache between may keep an answer: {MOST_CACHED} at most, and so long may a revocation stay
    unseen behind one."""
    ahead: Annotated[int, Meta(ge=0, le=100_000)]
    """Certificates in force up to which all answers are signed ahead; with more, when asked for."""
    kept: _Count
    """Answers kept: twice `ahead` at least."""


class _LimitsTable(Table, frozen=True):
    request: Annotated[int, Meta(ge=256, le=65_536)]
    """Octets of a request."""
    certificates: Annotated[int, Meta(ge=1, le=256)]
    """Certificates in one request."""
    connections: Annotated[int, Meta(ge=1, le=100_000)]
    """Open at a time."""
    waiting: Annotated[int, Meta(ge=1, le=100_000)]
    """Requests that wait for the HSM; beyond, clients are told to try later."""
    patience: str
    """For a client to send its request, and for an answer to be signed: {MOST_PATIENCE} at most."""
    idle: str
    """For the next request on an open connection: {MOST_IDLE} at most."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, and all of them together, may ask."""

    request: int
    certificates: int
    connections: int
    waiting: int
    patience: timedelta
    idle: timedelta


@dataclass(frozen=True, slots=True)
class OcspPolicy:
    """What ocsp.toml says."""

    hierarchies: frozenset[str]
    profile: Profile
    life: timedelta
    renew: timedelta
    valid: timedelta
    refresh: timedelta
    http_cache: timedelta
    ahead: int
    kept: int
    limits: Limits


class OcspFile(Table, frozen=True):
    """Whose certificates are answered for by OCSP, by whom, and within which bounds."""

    hierarchies: list[str]
    """Hierarchies whose certificates are answered for."""
    responder: _ResponderTable
    """A responder's certificate."""
    answers: _AnswersTable
    """How long answers are good, and which are kept."""
    limits: _LimitsTable
    """What one client, and all of them together, may ask."""

    def checked(self, profiles: Mapping[str, Profile], hierarchies: Collection[str]) -> OcspPolicy:
        if unknown := sorted(set(self.hierarchies) - set(hierarchies)):
            raise InvalidInput(
                "policy.no-hierarchy", f"{_FILE}: hierarchies: {unknown[0][:40]!r} is none", "see hierarchy.toml"
            )
        profile = profiles.get(self.responder.profile)
        if profile is None or profile.kind is not Kind.RESPONDER:
            raise InvalidInput(
                "policy.no-profile",
                f"{_FILE}: responder.profile: {self.responder.profile[:40]!r}",
                "name a responder's",
            )
        if self.responder.days > MOST_DAYS or self.responder.renew >= self.responder.days:
            raise Refused(
                "policy.ocsp",
                f"{_FILE}: days = {self.responder.days}, renew = {self.responder.renew}",
                f"give {MOST_DAYS} days at most, and renew before they are over",
            )
        if self.answers.kept < _FORMS * self.answers.ahead:  # signing ahead would drop what it signed, for ever
            raise Refused(
                "policy.ocsp",
                f"{_FILE}: ahead = {self.answers.ahead}, kept = {self.answers.kept}",
                "keep two answers for each certificate signed ahead: one by SHA-1, one by SHA-256",
            )
        valid = read_stretch(self.answers.valid, at(_FILE, "answers.valid"), least=LEAST_VALID, most=MOST_VALID)
        limits = self.limits
        return OcspPolicy(
            hierarchies=frozenset(self.hierarchies),
            profile=profile,
            life=timedelta(days=self.responder.days),
            renew=timedelta(days=self.responder.renew),
            valid=valid,
            refresh=_brief("answers.refresh", self.answers.refresh, valid - _SECOND),
            http_cache=_brief("answers.http_cache", self.answers.http_cache, min(valid, MOST_CACHED)),
            ahead=self.answers.ahead,
            kept=self.answers.kept,
            limits=Limits(
                request=limits.request,
                certificates=limits.certificates,
                connections=limits.connections,
                waiting=limits.waiting,
                patience=_brief("limits.patience", limits.patience, MOST_PATIENCE),
                idle=_brief("limits.idle", limits.idle, MOST_IDLE),
            ),
        )


def _brief(key: str, text: str, most: timedelta) -> timedelta:
    return read_stretch(text, at(_FILE, key), least=_SECOND, most=most)
