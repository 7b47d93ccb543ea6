"""What a request to revoke comes to: which certificates, what speaks against it, whether an officer looks first.

Everything is judged before anything is revoked; with one fault nothing is.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any

from smki.authority.registration import named
from smki.authority.revocation.alone import counted_before, passed
from smki.authority.revocation.asker import Asker, asker
from smki.authority.revocation.policy import KindRule
from smki.authority.revocation.request import Asked, words
from smki.authority.workspace import Workspace
from smki.errors import InvalidInput, Refused
from smki.pki.kind import Kind
from smki.pki.serial import Serial
from smki.pki.status import Status
from smki.pki.verdict import Fault
from smki.store.records import AuthorityRecord, RevocationRecord
from smki.store.revocations import Target
from smki.words import utc

_HIERARCHY_KINDS = {one.value: one for one in (Kind.ORGANISATION, Kind.DEVICE, Kind.INFRASTRUCTURE)}


@dataclass(frozen=True)
class Plan:
    """What is to be done, once it is confirmed and granted."""

    asked: Asked
    asker: Asker
    revoke: tuple[Target, ...]
    before: tuple[RevocationRecord, ...]
    """Revoked already; they are told."""
    left: Mapping[str, int]
    """What stays as it is, and why: expired, or of a kind that is not revoked."""
    whole: tuple[Target, ...]
    """What was asked for at first, with what an interrupted run has done of it."""
    held_for: tuple[str, ...]
    """Why a second officer looks first."""
    names: Mapping[int, str]
    """Of authorities."""
    rules: Mapping[tuple[int, str | None], KindRule]
    """By issuer and profile, of all that is no authority's."""

    @cached_property
    def core(self) -> dict[str, Any]:
        """Who asked for what reason on what evidence: the same whenever the same is asked."""
        asked, who = self.asked, self.asker
        return {
            "requested_by": who.name,
            "capacity": who.capacity.value,
            "organisation": who.organisation,
            "signed": who.signed,
            "reason": asked.reason.word,
            "compromised_at": "" if asked.compromised_at is None else utc(asked.compromised_at),
            "evidence": asked.evidence.text,
            "evidence_sha256": asked.evidence.sha256,
            "request_sha256": "" if asked.signed is None else hashlib.sha256(asked.signed.content).hexdigest(),
        }

    @cached_property
    def digest(self) -> bytes:
        """What a second officer grants: this, for these certificates."""
        numbers = b"".join(one.issuer.to_bytes(4) + one.serial.octets for one in sorted(self.whole, key=_key))
        return hashlib.sha256(b"smki revocation v1\0" + ground_body(self.core).encode() + b"\0" + numbers).digest()


def _key(one: Target) -> tuple[int, bytes]:
    return one.issuer, one.serial.octets


def ground_body(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, ensure_ascii=False)


def plan(workspace: Workspace, asked: Asked) -> Plan:
    """Judge a request; with anything against it, nothing of it is done."""
    return _Planning(workspace, asked).plan()


class _Planning:
    """One request, looked at once."""

    def __init__(self, workspace: Workspace, asked: Asked) -> None:
        self._workspace = workspace
        self._asked = asked
        self._store = workspace.store
        self._policy = workspace.policies.revocation
        self._now: datetime = workspace.clock()
        self._authorities = {one.number: one for one in self._store.authorities()}
        self._roots = {one.serial for one in self._authorities.values() if one.tier == "root"}
        self._rules: dict[tuple[int, str | None, bool], KindRule] = {}
        self._left: Counter[str] = Counter()

    def plan(self) -> Plan:
        self._refuse_moment()
        every = self._chosen()
        if not every:
            raise InvalidInput("revoke.nothing", "there is nothing to revoke", "see `smki cert find`")
        who = asker(self._workspace, self._asked, every)
        self._refuse_faults([(one, fault) for one in every for fault in self._faults(one, who)])
        live = tuple(one for one in every if one.status_at(self._now) not in {Status.REVOKED, Status.EXPIRED})
        self._left["expired"] += sum(one.status_at(self._now) is Status.EXPIRED for one in every)
        gone = [one for one in every if one.status is Status.REVOKED]
        found = Plan(
            asked=self._asked,
            asker=who,
            revoke=live,
            before=self._records(gone),
            left={why: count for why, count in self._left.items() if count},
            whole=live,
            held_for=(),
            names={number: one.name for number, one in self._authorities.items()},
            rules={
                (issuer, profile): rule
                for (issuer, profile, _), rule in self._rules.items()
                if not rule.kind.is_authority
            },
        )
        return self._held(found, gone)

    def _held(self, found: Plan, gone: Sequence[Target]) -> Plan:
        """What an interrupted run of the very same request has revoked counts as asked for now."""
        records = {(one.issuer, one.serial): one for one in found.before}
        same = {digest: self._is_same(digest, found.core) for digest in {one.ground for one in found.before}}
        done = tuple(one for one in gone if same[records[one.key].ground])
        whole = found.revoke + (done if found.revoke else ())
        reasons = tuple(self._reasons(whole, [records[one.key] for one in done]))
        return replace(found, whole=whole, held_for=reasons)

    def _is_same(self, ground: bytes, core: Mapping[str, Any]) -> bool:
        kept = self._store.revocations.ground(ground)
        return {name: value for name, value in kept.items() if name != "granted"} == core

    # What is meant

    def _chosen(self) -> list[Target]:
        asked = self._asked
        if asked.organisation is not None:
            most = self._policy.largest_request + 1  # of millions, no more are held than it takes to refuse them
            every = sorted(islice(self._of_organisation(asked.organisation), most), key=_key)
            self._refuse_count(len(every))
            return every
        self._refuse_count(len(asked.serials))
        found = self._store.revocations.targets(asked.serials)
        known = Counter(one.serial for one in found)
        if missing := [str(serial) for serial in asked.serials if serial not in known]:
            raise Refused(
                "revoke.unknown",
                f"no certificate was issued here, and no number burnt, as {words(missing)}: nothing was revoked",
                "see `smki cert find`",
            )
        if twice := [str(serial) for serial, count in known.items() if count > 1]:
            raise Refused("revoke.which", f"two authorities issued {words(twice)}", "report this")
        return found

    def _refuse_count(self, count: int) -> None:
        most = self._policy.largest_request
        if count > most:
            raise Refused("revoke.count", f"{count} certificates, and {most} are allowed", "ask in parts")

    def _of_organisation(self, name: str) -> Iterator[Target]:
        """All it has, but for what is over and for kinds that are not revoked here."""
        for one in self._store.revocations.targets_of(named(self._workspace, name).number):
            rule = self._rule(one)
            if one.status_at(self._now) is Status.EXPIRED:
                self._left["expired"] += 1
            elif not rule.revocable:
                self._left[f"of kind {rule.kind.value}, which is not revoked here"] += 1
            else:
                yield one

    def _records(self, gone: Sequence[Target]) -> tuple[RevocationRecord, ...]:
        by_issuer: dict[int, list[Serial]] = {}
        for one in gone:
            by_issuer.setdefault(one.issuer, []).append(one.serial)
        found = (self._store.revocations.many(issuer, serials).values() for issuer, serials in by_issuer.items())
        return tuple(record for records in found for record in records)

    # What speaks against it

    def _refuse_moment(self) -> None:
        at, reason = self._asked.compromised_at, self._asked.reason
        if at is None:
            return
        if at > self._now:
            raise Refused("revoke.compromised-at", f"{utc(at)} is to come", "give the time it happened, or leave it")
        if not reason.is_compromise:
            raise Refused("revoke.compromised-at", f"{reason.word} is no compromise", "leave --compromised-at out")

    def _refuse_faults(self, found: Sequence[tuple[Target, Fault]]) -> None:
        if not found:
            return
        target, fault = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise Refused(fault.code, f"{target.serial}: {fault.message}{more}: nothing was revoked", fault.remedy)

    def _faults(self, one: Target, who: Asker) -> Iterator[Fault]:
        if one.status_at(self._now) in {Status.REVOKED, Status.EXPIRED}:
            return
        rule, reason = self._rule(one), self._asked.reason
        kind = rule.kind.value
        if rule.kind is Kind.ROOT:
            yield _fault("root", "a root is not revoked by a list", "replace it: `smki ceremony`, `smki contingency`")
            return
        if not rule.revocable:
            yield _fault(
                "kind", f"certificates of kind {kind} are not revoked here", "see policies/revocation.toml, kinds"
            )
        if reason not in self._policy.reasons[who.capacity]:
            yield _fault(
                "reason", f"{who.words} may not ask for {reason.word}", "see policies/revocation.toml, requesters"
            )
        if reason not in rule.reasons:
            yield _fault("reason", f"{reason.word} is no reason for kind {kind}", "give the reason that fits")
        if reason in rule.signed_only and not who.signed:
            yield _fault(
                "unsigned", f"{reason.word} of kind {kind} takes a signed request", "give it with --request FILE"
            )
        at = self._asked.compromised_at
        if at is not None and at < one.since:
            yield _fault("compromised-at", f"it is of {utc(one.since)}, after {utc(at)}", "give a later time")

    def _rule(self, one: Target) -> KindRule:
        key = (one.issuer, one.profile, one.serial in self._roots)
        if key not in self._rules:
            self._rules[key] = self._policy.rule(self._kind(one))
        return self._rules[key]

    def _kind(self, one: Target) -> Kind:
        """By the register first: whatever a profile's file says today, a root is one, and issues authorities only."""
        authority: AuthorityRecord = self._authorities[one.issuer]
        if one.serial in self._roots:
            return Kind.ROOT
        if one.profile is None:  # of a number that was burnt: what its authority issues
            return Kind.ISSUING if authority.tier == "root" else _HIERARCHY_KINDS[authority.hierarchy]
        profile = self._workspace.policies.profiles.get(one.profile)
        if profile is None:
            raise InvalidInput(
                "revoke.profile", f"{one.serial} is of profile {one.profile}, which is gone", "restore its file"
            )
        return Kind.ISSUING if authority.tier == "root" and not profile.kind.is_authority else profile.kind

    # Whether a second officer looks first

    def _reasons(self, whole: Sequence[Target], done: Sequence[RevocationRecord]) -> Iterator[str]:
        rules = {one.kind: one for one in map(self._rule, whole)}
        for kind, rule in rules.items():
            these = [one for one in whole if self._rule(one) is rule]
            if kind.is_authority:
                yield f"{len(these)} of kind {kind.value}"
                continue
            roles = {one.role for one in these if one.role in rule.approve_roles}
            yield from (f"certificates of role {role.word}" for role in sorted(roles) if role is not None)
            keys = {one.key for one in these}
            own = counted_before(
                self._workspace, [one for one in done if (one.issuer, one.serial) in keys], self._now
            )
            before = passed(self._workspace, {one.issuer for one in these}, self._now) - own
            if len(these) + before > rule.approve_above:
                yield (
                    f"{len(these)} of kind {kind.value} after {before} within a day, and {rule.approve_above} pass"
                )


def _fault(rule: str, message: str, remedy: str) -> Fault:
    return Fault(f"revoke.{rule}", message, remedy)
