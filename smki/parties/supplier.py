"""A user signs commands: a supplier, a network operator, a load controller, with a key in its HSM.

A counter is used up, durably and with its entry in the log, before the key is asked; the signature is kept when it
came. So whatever moment the machine dies at, each signature the key ever made is on record, no counter serves twice,
and running the same again hands out what was signed before and signs the rest.
"""

import hashlib
import os
from collections import Counter, deque
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, Protocol

from smki.authority.log import act, acts, seal
from smki.authority.second_officer import check_grant
from smki.authority.signing import Threshold
from smki.authority.standing import Watch
from smki.authority.workspace import Workspace
from smki.entity import KeyUsage, RemotePartyRole
from smki.errors import Refused
from smki.gbcs.message import SIGNATURE_OCTETS
from smki.gbcs.use_case import UseCase
from smki.gbcs.words import Vocabulary
from smki.hsm.key import HsmPrivateKey
from smki.parties.expectation import Expectations
from smki.parties.intake import Given
from smki.parties.keys import Certified, refuse_unless_in_use, token_key
from smki.parties.outcome import Outcome, Result
from smki.parties.signing_rules import PLAN_IT, Fit, Shown, Unfit, judge
from smki.pki.verdict import Fault
from smki.store.announcement_records import SignedRecord
from smki.store.records import HoldRecord, SignatureRecord

CHUNK = 512  # commands in one transaction and one task of a signing thread
_AHEAD = 2  # chunks reserved and being signed while one is written down
_SIGNATURE_LENGTH = bytes((SIGNATURE_OCTETS,))
_UnderWay = tuple["list[Fit]", "Future[list[bytes]]"]
_REFUSED = Fault("approve.refused", "an officer refused this command", "see `smki approve list --all`")


_BY_QUORUM = "approved by a quorum of key custodians"


class Speaker(Protocol):
    """Who signs, as the record names them: by certificate, or by what stands for one."""

    @property
    def key_hash(self) -> bytes: ...

    @property
    def serial(self) -> str: ...


def sign_approved(
    workspace: Workspace, speaker: Speaker, key: HsmPrivateKey, fit: list[Fit], watch: Watch | None
) -> Generator[Outcome]:
    """Sign what a quorum approved, device by device: no threshold holds it, whose second officer would be fewer."""
    yield from _Run(workspace, speaker, key, fit, None, watch).outcomes()


def vocabulary(workspace: Workspace) -> Vocabulary:
    """The words of this workspace: its policies, and the names of the parties it enrolled."""
    organisations = workspace.store.organisations
    return Vocabulary(workspace.policies.use_cases, workspace.policies.names, organisations.owner_of)


class SigningDesk:
    """Where one user's key signs."""

    def __init__(self, workspace: Workspace, token: str, label: str, certificate: Certified) -> None:
        if certificate.holder.role is RemotePartyRole.RECOVERY:
            raise Refused("sign.quorum", "the recovery key signs what a quorum approved, and nothing else", PLAN_IT)
        self._watch = refuse_unless_in_use(workspace, certificate, KeyUsage.DIGITAL_SIGNATURE)
        self._workspace = workspace
        self._certificate = certificate
        self._key: HsmPrivateKey = token_key(workspace, token, label, certificate)
        self._vocabulary = vocabulary(workspace)

    def judge(
        self, given: Iterable[Given], expected: Expectations | None, vouched: Mapping[bytes, bytes] | None = None
    ) -> list[Fit | Unfit]:
        """Hold every message against the rules, before any is signed."""
        holder = self._certificate.holder
        return [judge(item, holder, self._vocabulary, expected, vouched or {}) for item in given]

    def sign(
        self, judged: Iterable[Fit | Unfit], shown: Shown, guarded: frozenset[int] = frozenset()
    ) -> Generator[Outcome]:
        """Sign what may be signed, in the order of counters; an outcome for each as it comes. Close it at the end.

        `guarded` are the codes of use cases that were held against thresholds of their own before.
        """
        fit: list[Fit] = []
        for item in judged:
            if isinstance(item, Unfit):
                yield Outcome(item.reference, "refused", faults=item.faults)
            else:
                fit.append(item)
        fit.sort(key=lambda item: item.counter)
        try:
            yield from _Run(
                self._workspace, self._certificate, self._key, fit, shown, self._watch, guarded
            ).outcomes()
        finally:
            seal(self._workspace)


class _Run:
    """One run over commands that are fit."""

    def __init__(
        self,
        workspace: Workspace,
        certificate: Speaker,
        key: HsmPrivateKey,
        fit: list[Fit],
        shown: Shown | None,
        watch: Watch | None,
        guarded: frozenset[int] = frozenset(),
    ) -> None:
        self._workspace = workspace
        self._watch = watch
        self._store = workspace.store
        self._certificate = certificate
        self._key = key
        self._shown = shown
        self._fit = fit
        self._known = self._store.signatures.known(certificate.key_hash, [item.digest for item in fit])
        self._left = Counter(_code(item) for item in fit if item.digest not in self._known)
        self._granted = set(guarded)
        self._held: dict[int, Fault] = {}
        self._refused = self._store.holds.refused([item.digest for item in fit])
        for use_case in {_code(item): _row(item) for item in fit if shown is not None}.values():
            self._look_for_hold(use_case)

    def outcomes(self) -> Generator[Outcome]:
        """Reserve a chunk while others are being signed; write each down when it is.

        However this ends, what the key has signed by then is written down: who stops listening loses no signature.
        """
        threads = os.cpu_count() or 1
        under_way: deque[_UnderWay] = deque()
        with ThreadPoolExecutor(threads) as pool:
            try:
                for start in range(0, len(self._fit), CHUNK):
                    ready, told = self._reserve(self._fit[start : start + CHUNK])
                    if ready:
                        digests = [item.digest for item in ready]
                        under_way.append((ready, pool.submit(self._key.sign_digests, digests)))
                    yield from told
                    while len(under_way) > threads * _AHEAD:
                        yield from self._finish(*under_way.popleft())
                while under_way:
                    yield from self._finish(*under_way.popleft())
            finally:
                for ready, signing in under_way:
                    if not signing.cancel() and signing.exception() is None:
                        self._finish(ready, signing)

    # Before the key is asked

    def _reserve(self, chunk: list[Fit]) -> tuple[list[Fit], list[Outcome]]:
        """Use up counters for those of a chunk that are to be signed; say what becomes of the others."""
        told = [_signed(item, value, "signed before") for item in chunk if (value := self._known.get(item.digest))]
        ready = [item for item in chunk if self._known.get(item.digest, b"") is None]  # reserved, and then it died
        told += [_not_signed(item, _REFUSED) for item in chunk if item.digest in self._refused]
        fresh = [item for item in chunk if item.digest not in self._known and item.digest not in self._refused]
        if not fresh:
            return ready, told
        facts: list[dict[str, Any]] = []
        with acts(self._workspace, "message.signing", facts) as tx:
            tx.lock()
            if self._watch is not None:  # whoever revoked it was first, or waits until this is signed
                self._watch.refuse()
            # Another run may have been here since: what it reserved is not numbered again.
            key_hash = self._certificate.key_hash
            meanwhile = self._store.signatures.known(key_hash, [item.digest for item in fresh])
            ready += [item for item in fresh if meanwhile.get(item.digest, b"") is None]
            told += [_signed(item, value, "signed before") for item in fresh if (value := meanwhile.get(item.digest))]
            fresh = [item for item in fresh if item.digest not in meanwhile]
            above = self._above_thresholds(fresh)
            numbered, refused = self._with_new_counters(
                [item for item in fresh if _code(item) not in above and _code(item) not in self._held]
            )
            if numbered:
                tx.reserve_counter(key_hash, numbered[-1].counter)
                tx.put_signatures(self._record(item) for item in numbered)
                facts += [self._facts(item) for item in numbered]
        self._left.subtract(_code(item) for item in fresh)
        for use_case, reason in above.values():
            self._hold(use_case, reason)
        told += [_not_signed(item, self._held[_code(item)]) for item in fresh if _code(item) in self._held]
        return ready + numbered, told + refused

    def _with_new_counters(self, items: list[Fit]) -> tuple[list[Fit], list[Outcome]]:
        last = self._store.signatures.last_counter(self._certificate.key_hash)
        numbered: list[Fit] = []
        refused: list[Outcome] = []
        for item in items:
            if item.counter > last:
                numbered.append(item)
                last = item.counter
                continue
            fault = Fault(
                "sign.counter",
                f"counter {item.counter} is not above {last}, the last this key used",
                "ask for the command again with a higher counter",
            )
            refused.append(_not_signed(item, fault))
        return numbered, refused

    def _record(self, item: Fit) -> SignatureRecord:
        return SignatureRecord(
            digest=item.digest,
            key_hash=self._certificate.key_hash,
            counter=item.counter,
            target=item.reading.message.header.target,
            code=_code(item),
            at=self._workspace.clock(),
        )

    def _facts(self, item: Fit) -> dict[str, Any]:
        """What the log says of a signature: of what, for whom, by which certificate, and how the signer knew."""
        header = item.reading.message.header
        return {  # texts only: an entry of the log holds no number as large as a counter
            "digest": item.digest.hex(),
            "use_case": str(header.code),
            "originator": str(header.originator),
            "target": str(header.target),
            "counter": str(header.counter),
            "certificate": self._certificate.serial,
            "known_by": _BY_QUORUM if self._shown is None else self._shown.value,
            "expectation": "" if item.expectation is None else item.expectation.hex(),
            "reference": item.reference[:200],
        }

    # Thresholds

    def _above_thresholds(self, fresh: list[Fit]) -> dict[int, tuple[UseCase, str]]:
        """The use cases of which this run would sign too many: all of it counts, not the part that came so far."""
        above: dict[int, tuple[UseCase, str]] = {}
        for code, use_case in {_code(item): _row(item) for item in fresh}.items():
            if self._shown is None or code in self._granted or code in self._held:
                continue
            for threshold in self._workspace.policies.signing.of(str(use_case.code), use_case.name):
                reason = self._exceeds(code, threshold)
                if reason:
                    above[code] = (use_case, reason)
                    break
        return above

    def _exceeds(self, code: int, threshold: Threshold) -> str:
        since = self._workspace.clock() - threshold.window
        before = self._store.signatures.count_since(self._certificate.key_hash, code, since)
        if before + self._left[code] <= threshold.count:
            return ""
        return f"{self._left[code]} after {before} within {threshold.window}, and {threshold.count} are the threshold"

    def _digest_of(self, use_case: UseCase) -> bytes:
        """What names the commands of one use case in this run: the same, whenever the same are handed in."""
        digests = sorted(item.digest for item in self._fit if _code(item) == use_case.code)
        return hashlib.sha256(b"".join((self._certificate.key_hash, *digests))).digest()

    def _look_for_hold(self, use_case: UseCase) -> None:
        known = self._store.holds.one(self._digest_of(use_case))
        if known is None:
            return
        if known.state == "granted":
            check_grant(self._workspace, known)
            self._granted.add(use_case.code)
        else:
            self._held[use_case.code] = fault_of(known)

    def _hold(self, use_case: UseCase, reason: str) -> None:
        items = [item for item in self._fit if _code(item) == use_case.code]
        record = HoldRecord(
            digest=self._digest_of(use_case),
            purpose=f"signatures of {use_case.label}",
            items=len(items),
            reasons=(reason,),
            state="waiting",
            asked_by=self._workspace.person.name,
            asked_at=self._workspace.clock(),
            decision={},
        )
        facts = {"hold": record.digest.hex(), "purpose": record.purpose, "items": record.items, "reason": reason}
        with act(self._workspace, "hold.asked", **facts) as tx:
            tx.put_hold(record, [(item.digest, _words(item)) for item in items])
        self._held[use_case.code] = fault_of(record)

    # After the key has signed

    def _finish(self, chunk: list[Fit], signing: "Future[list[bytes]]") -> list[Outcome]:
        now = self._workspace.clock()
        made = [_made(item, signature, now) for item, signature in zip(chunk, signing.result(), strict=True)]
        digest = hashlib.sha256(b"".join(item.signature for item in made)).hexdigest()
        with act(self._workspace, "message.signed", count=len(made), signatures_sha256=digest) as tx:
            kept = tx.complete_signatures(self._certificate.key_hash, made)
        return [_signed(item, signature, "signed") for item, signature in zip(chunk, kept, strict=True)]


def _words(item: Fit) -> str:
    """One line for the officer who looks at what is held."""
    header = item.reading.message.header
    said = "; ".join(value for name, value in item.reading.values.items() if not name.startswith("form of"))
    return f"{_row(item).name} to {header.target}, counter {header.counter}: {said}"[:400]


def _row(item: Fit) -> UseCase:
    row = item.reading.use_case
    assert row is not None, "a command without one is not fit"
    return row


def _code(item: Fit) -> int:
    return item.reading.message.header.code


def _signed(item: Fit, signature: bytes, result: Result) -> Outcome:
    return Outcome(item.reference, result, _whole(item, signature))


def _whole(item: Fit, signature: bytes) -> bytes:
    return item.grouped + _SIGNATURE_LENGTH + signature


def _made(item: Fit, signature: bytes, at: datetime) -> SignedRecord:
    """What is announced of it is the digest of just what is handed to the broker."""
    submitted = hashlib.sha256(_whole(item, signature)).digest()
    return SignedRecord(item.digest, signature, submitted, item.reading.message.header.originator, at)


def _not_signed(item: Fit, fault: Fault) -> Outcome:
    return Outcome(item.reference, "refused" if fault.code != "approve.needed" else "held", faults=(fault,))


def fault_of(hold: HoldRecord) -> Fault:
    """What is told of something that waits for an officer, or was refused by one."""
    name = hold.digest.hex()[:16]
    if hold.state == "refused":
        return Fault("approve.refused", f"an officer refused {hold.words}", f"see `smki approve show {name}`")
    return Fault(
        "approve.needed",
        f"{hold.words} {'waits' if hold.items == 1 else 'wait'} for an officer: {'; '.join(hold.reasons)}",
        f"smki approve grant {name} --officer NAME --key FILE, then run the same again",
    )
