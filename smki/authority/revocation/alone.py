"""How many revocations pass in a day without a second officer, whoever asks, in however many pieces."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from smki.authority.revocation.policy import WINDOW, KindRule
from smki.authority.workspace import Workspace
from smki.errors import Refused
from smki.store.records import RevocationRecord


def passed(workspace: Workspace, issuers: Iterable[int], now: datetime) -> int:
    """How many were revoked of late without a second officer: of these authorities, and of all in their hierarchies,
    so that what one may do alone is not had again from the next."""
    every = {one.number: one for one in workspace.store.authorities()}
    hierarchies = {every[issuer].hierarchy for issuer in issuers}
    alike = (one.number for one in every.values() if one.tier == "issuing" and one.hierarchy in hierarchies)
    return sum(_ungranted(workspace, alike, now))


def _ungranted(workspace: Workspace, issuers: Iterable[int], now: datetime) -> Iterator[int]:
    revocations = workspace.store.revocations
    for issuer in issuers:
        for ground, count in revocations.made_since(issuer, now - WINDOW).items():
            if not revocations.ground(ground).get("granted"):
                yield count


def counted_before(workspace: Workspace, done: Iterable[RevocationRecord], now: datetime) -> int:
    """How many of these `passed` counts: a run that was interrupted is asked for as a whole, and once."""
    granted: dict[bytes, bool] = {}
    count = 0
    for one in done:
        if one.ground not in granted:
            granted[one.ground] = bool(workspace.store.revocations.ground(one.ground).get("granted"))
        count += not granted[one.ground] and one.at >= now - WINDOW
    return count


def refuse_more(workspace: Workspace, rule: KindRule, issuers: Iterable[int], more: int, now: datetime) -> None:
    """Asked while nobody else can revoke: what was planned beside this may have been done since."""
    before = passed(workspace, issuers, now)
    if before + more > rule.approve_above:
        raise Refused(
            "approve.needed",
            f"{more} of kind {rule.kind.value} after {before} within a day, some of them while this was planned, and"
            f" {rule.approve_above} pass",
            "run the same again: it waits for an officer then",
        )
