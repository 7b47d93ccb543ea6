"""One run of issuing: requests in, outcomes out, in their order, whatever happens in between.

The store is asked and written to by this process alone; the crew does the arithmetic. Each chunk goes the same way:
read by a worker, judged here, serial numbers reserved, signed by a worker, stored together with its audit entry, and
only then handed out. Where the machine dies, the numbers of a chunk that was not stored stay on record.
"""

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from typing import Any, Protocol

from smki.authority.issuance.judge import Judge, short
from smki.authority.issuance.order import Order, Outcome, refuse_revoked
from smki.authority.issuance.patience import Patience
from smki.authority.issuance.request_files import Asked
from smki.authority.issuance.templates import Templates
from smki.authority.issuance.worker import Check, Row, Sign
from smki.authority.log import act
from smki.authority.workspace import Workspace
from smki.errors import SmkiError, Unavailable
from smki.pki.request import Request, Unfit
from smki.pki.serial import Serial
from smki.pki.template import Dated
from smki.pki.validity import Validity
from smki.pki.verdict import Fault
from smki.store.certificates import Certified
from smki.store.records import CertificateRecord
from smki.store.transaction import Transaction

CHUNK = 512  # an audit entry names each certificate of a chunk, and has to stay below its limit
OPEN_CHUNKS = 16  # how far the run reads ahead of the oldest chunk that is not finished


class Crew(Protocol):
    """Whoever does the jobs."""

    @property
    def free(self) -> int: ...
    @property
    def busy(self) -> bool: ...
    def give(self, number: int, job: Check | Sign) -> None: ...
    def answers(self) -> list[tuple[int, list[Any] | SmkiError]]: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class _Chunk:
    """Some requests on their way."""

    number: int
    first: int
    asked: list[Asked]
    outcomes: list[Outcome | None]
    chosen: list[tuple[int, Request]] = field(default_factory=list)
    """Place and request of those that are answered, in the order they are signed in."""
    serials: list[Serial] = field(default_factory=list)
    validity: Validity | None = None
    signing: bool = False
    judged_at: int = 0
    """How many acts of others there had been when it was judged."""
    counted: list[Request] = field(default_factory=list)
    """Those the judge remembers as being answered, until they are stored."""
    recording: "tuple[_Late, Serial | None] | None" = None
    """What the last try to store it would record: those too late, and the first number stored."""


class Run:
    """The run of one batch. Without a batch it is a dry run: everything is judged, nothing is issued."""

    def __init__(
        self,
        workspace: Workspace,
        order: Order,
        batch: bytes | None,
        crew: Crew,
        *,
        with_store: Patience,
        with_hsm: Patience,
    ) -> None:
        self._workspace = workspace
        self._store = workspace.store
        self._order = order
        self._batch = batch
        self._crew = crew
        self._with_store = with_store
        self._with_hsm = with_hsm
        self._judge = Judge(self._store.certificates, order)
        self._templates = Templates(order.rule, order.authority)
        self._open: dict[int, _Chunk] = {}
        self._unsigned: deque[_Chunk] = deque()
        """Those that wait for the token. One of them is tried after each pause: all failed of one trouble, and to let
        each wait by itself took many times as long as the token was away."""
        self._log_size = -1
        self._foreign_acts = 0

    def outcomes(self, requests: Iterable[Asked]) -> Generator[Outcome]:
        """What became of each request, in order, as soon as it is durable."""
        chunks = _chunks(requests)
        oldest = 0
        try:
            while True:
                self._take_in(chunks)
                if not self._open:
                    return
                for number, answer in self._crew.answers():
                    self._advance(self._open[number], answer)
                while oldest in self._open and all(self._open[oldest].outcomes):
                    yield from (outcome for outcome in self._open.pop(oldest).outcomes if outcome)
                    oldest += 1
        finally:
            self._give_up()

    def _take_in(self, chunks: Iterator[_Chunk]) -> None:
        while self._crew.free > 0 and len(self._open) < OPEN_CHUNKS:
            chunk = next(chunks, None)
            if chunk is None:
                return
            self._open[chunk.number] = chunk
            self._crew.give(chunk.number, Check(tuple(asked.der for asked in chunk.asked)))

    def _advance(self, chunk: _Chunk, answer: list[Any] | SmkiError) -> None:
        if isinstance(answer, Unavailable) and chunk.signing:
            self._with_store.keep_trying(lambda: self._burn([chunk], str(answer.code)))
            self._unsigned.append(chunk)
            if not any(other.signing for other in self._open.values()):
                self._with_hsm.wait(answer)
                self._have_signed(self._unsigned.popleft())
        elif isinstance(answer, SmkiError):
            raise answer
        elif chunk.signing:
            self._with_hsm.over()
            self._keep(chunk, answer)
            while self._unsigned:
                self._have_signed(self._unsigned.popleft())
        else:
            self._with_store.keep_trying(lambda: self._decide(chunk, answer))
            if chunk.chosen and self._unsigned:
                self._unsigned.append(chunk)
            elif chunk.chosen:
                self._have_signed(chunk)

    # Judgement

    def _decide(self, chunk: _Chunk, answers: Sequence[Request | Unfit]) -> None:
        """Judge a chunk. Everything is read first: a store that goes away leaves nothing half judged."""
        fit = [request for request in answers if isinstance(request, Request)]
        chunk.judged_at = self._foreign_acts
        self._judge.look_again(self._store.organisations.numbered(self._order.subscriber.number))
        certified = self._judge.certified(fit)
        in_use = self._judge.in_use(fit, self._workspace.clock())
        before = self._answered_before(answers, certified)
        for place, request in enumerate(answers):
            if place in before:
                self._settle(chunk, place, request, certificate=before[place], again=True)
                continue
            faults = self._judge.faults(request, certified, in_use)
            if not isinstance(request, Unfit) and not faults:
                chunk.counted.append(request)
            if faults or self._batch is None or isinstance(request, Unfit):
                self._settle(chunk, place, request, faults=faults)
            else:
                chunk.chosen.append((place, request))

    def _answered_before(
        self, requests: Sequence[Request | Unfit], certified: dict[bytes, Certified]
    ) -> dict[int, CertificateRecord]:
        """The certificates that these very requests had before."""
        found = {}
        for place, request in enumerate(requests):
            known = self._judge.answered_by(request, certified) if isinstance(request, Request) else None
            record = None if known is None else self._store.certificates.get(known.issuer, known.serial)
            if record is not None:
                found[place] = record
        return found

    @staticmethod
    def _settle(
        chunk: _Chunk,
        place: int,
        request: Request | Unfit,
        *,
        certificate: CertificateRecord | None = None,
        again: bool = False,
        faults: tuple[Fault, ...] = (),
    ) -> None:
        reference = chunk.asked[place].reference
        number = chunk.first + place
        chunk.outcomes[place] = Outcome(number, reference, request.digest, certificate, again, faults)

    # Signing

    def _have_signed(self, chunk: _Chunk) -> None:
        """Set serial numbers aside, durably; then ask for signatures."""
        self._with_store.keep_trying(lambda: self._reserve(chunk))
        chunk.validity = self._templates.validity(self._workspace.clock())
        templates: dict[Any, tuple[Dated, list[int]]] = {}
        for index, (_, request) in enumerate(chunk.chosen):
            key = (request.usage, request.role, request.common_name)
            if key not in templates:
                templates[key] = (self._templates.dated(request, chunk.validity), [])
            templates[key][1].append(index)
        order = [index for _, members in templates.values() for index in members]
        chunk.chosen = [chunk.chosen[index] for index in order]
        rows: Iterator[Row] = (
            (serial.octets, request.point, b"" if request.entity is None else request.entity.octets)
            for serial, (_, request) in zip(chunk.serials, chunk.chosen, strict=True)
        )
        groups = tuple((dated, tuple(islice(rows, len(members)))) for dated, members in templates.values())
        chunk.signing = True
        self._crew.give(chunk.number, Sign(groups))

    def _reserve(self, chunk: _Chunk) -> None:
        now = self._workspace.clock()
        serials = [Serial.draw(os.urandom, now) for _ in chunk.chosen]
        assert self._batch is not None, "a dry run signs nothing"
        with self._act("serials.reserved", serials=[str(serial) for serial in serials]) as tx:
            refuse_revoked(self._workspace, self._order.authority)
            tx.reserve_serials(self._order.authority.number, serials, f"batch {self._batch.hex()[:16]}")
        chunk.serials = serials

    def _burn(self, chunks: Sequence[_Chunk], reason: str) -> None:
        """Whatever was signed under these numbers, nobody will see it."""
        number = self._order.authority.number
        for chunk in chunks:
            if chunk.serials and not self._store.certificates.is_burnt(number, chunk.serials[0]):
                with self._act("serials.burnt", serials=[str(item) for item in chunk.serials], reason=reason) as tx:
                    tx.burn_serials(number, chunk.serials)
            chunk.serials, chunk.signing = [], False

    def _give_up(self) -> None:
        """The run ends before its end: what was being signed is given up on record, if it can be."""
        with suppress(SmkiError):
            self._burn([chunk for chunk in self._open.values() if chunk.signing], "the run ended before its end")

    # Storing

    def _keep(self, chunk: _Chunk, certificates: Sequence[bytes]) -> None:
        made = [
            self._record_of(chunk, serial, request, der)
            for serial, (_, request), der in zip(chunk.serials, chunk.chosen, certificates, strict=True)
        ]
        late = self._with_store.keep_trying(lambda: self._store_once(chunk, made))
        for index, (place, request) in enumerate(chunk.chosen):
            if index in late:
                before, faults = late[index]
                self._settle(chunk, place, request, certificate=before, again=before is not None, faults=faults)
            else:
                self._settle(chunk, place, request, certificate=made[index])
        self._judge.forget(chunk.counted)
        chunk.signing = False

    def _record_of(self, chunk: _Chunk, serial: Serial, request: Request, der: bytes) -> CertificateRecord:
        assert chunk.validity is not None, "known since it was asked for"
        return CertificateRecord(
            issuer=self._order.authority.number,
            serial=serial,
            key_hash=request.key_hash,
            entity=request.entity,
            profile=self._order.rule.profile.name,
            not_before=chunk.validity.not_before,
            not_after=chunk.validity.not_after,
            der=der,
            usage=request.usage,
            role=request.role,
            subscriber=self._order.subscriber.number,
            status=self._judge.first_status,
            request=short(request.digest),
        )

    def _store_once(self, chunk: _Chunk, made: Sequence[CertificateRecord]) -> "_Late":
        """Store a chunk's certificates with their audit entry; give those that came too late."""
        if (recorded := self._recorded(chunk)) is not None:
            return recorded
        digests: list[str] = []
        burnt: list[str] = []
        with self._act(
            "certificates.issued",
            organisation=self._order.subscriber.name,
            authority=self._order.authority.name,
            profile=self._order.rule.profile.name,
            certificates=digests,
            burnt=burnt,
        ) as tx:
            late = self._too_late(tx, chunk)
            kept = [record for index, record in enumerate(made) if index not in late]
            lost = [record.serial for index, record in enumerate(made) if index in late]
            digests += [sha256(record.der).hexdigest() for record in kept]
            burnt += [str(serial) for serial in lost]
            if kept:
                tx.store_certificates(kept)
            if lost:
                tx.burn_serials(self._order.authority.number, lost)
            chunk.recording = late, kept[0].serial if kept else None
        return late

    def _recorded(self, chunk: _Chunk) -> "_Late | None":
        """Whether the try before this one succeeded although its connection was lost in that moment."""
        if chunk.recording is None:
            return None
        late, first = chunk.recording
        number = self._order.authority.number
        if first is not None:
            done = self._store.certificates.get(number, first) is not None
        else:
            done = self._store.certificates.is_burnt(number, chunk.serials[0])
        return late if done else None

    def _too_late(self, tx: Transaction, chunk: _Chunk) -> "_Late":
        """Those for whom something changed since the chunk was judged, while nobody else can change anything."""
        if not tx.is_active(self._order.subscriber.number):
            return dict.fromkeys(range(len(chunk.chosen)), (None, (_SUSPENDED,)))
        if chunk.judged_at == self._foreign_acts:
            return {}  # nobody else wrote to the log
        requests = [request for _, request in chunk.chosen]
        certified = self._judge.certified(requests)
        in_use = self._judge.in_use(requests, self._workspace.clock())
        before = self._answered_before(requests, certified)
        self._judge.forget(chunk.counted)
        chunk.counted = []
        late: _Late = {}
        for index, request in enumerate(requests):
            if index in before:
                late[index] = (before[index], ())
            elif faults := self._judge.faults(request, certified, in_use):
                late[index] = (None, faults)
            else:
                chunk.counted.append(request)
        return late

    @contextmanager
    def _act(self, kind: str, **facts: Any) -> Iterator[Transaction]:
        """An act of this run, which notices whether others acted since the last one."""
        assert self._batch is not None, "a dry run changes nothing"
        with act(self._workspace, kind, batch=self._batch.hex(), **facts) as tx:
            tx.lock()
            size = self._store.audit_size()
            if size != self._log_size:
                self._foreign_acts += 1
            yield tx
        self._log_size = size + 1


_Late = dict[int, tuple[CertificateRecord | None, tuple[Fault, ...]]]
_SUSPENDED = Fault(
    "subscriber.suspended", "the organisation was suspended while the batch ran", "resume it, and run the batch again"
)


def _chunks(requests: Iterable[Asked]) -> Iterator[_Chunk]:
    source = iter(requests)
    number, first = 0, 1
    while asked := list(islice(source, CHUNK)):
        yield _Chunk(number, first, asked, [None] * len(asked))
        number, first = number + 1, first + len(asked)
