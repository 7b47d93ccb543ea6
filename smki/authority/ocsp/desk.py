"""The desk: what needs the store and the HSM, done by one thread for as many requests at a time as wait.

It decides what is answered and by whom. It refuses to know how a request came, or what is kept of an answer.
"""

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from smki.authority.ceremony.plan import key_of, subject_of
from smki.authority.ocsp.kept import Answer
from smki.authority.ocsp.policy import OcspPolicy
from smki.authority.ocsp.register import statuses
from smki.authority.ocsp.responders import Appointed, State, appointed, public_key_of
from smki.authority.publication.site import refuse_behind
from smki.authority.workspace import Workspace
from smki.errors import Refused, SmkiError, Unavailable
from smki.hsm.key import HsmPrivateKey, der_signature
from smki.hsm.pin import Pin
from smki.pki.ocsp import (
    Asked,
    Failure,
    IssuerId,
    Query,
    Responder,
    assemble,
    cert_id,
    issuer_ids,
    single,
    to_be_signed,
)
from smki.store.responders import ResponderRecord

if TYPE_CHECKING:
    from smki.hsm.token import Token

Tell = Callable[..., None]
"""Takes the name of an event, and facts."""
LOOK_SECONDS = 5.0  # how often appointments are looked at
MANY = 16  # signatures from which it pays to have the module copy the key into the session


@dataclass(frozen=True, slots=True)
class Counter:
    """One authority served."""

    appointed: Appointed
    responder: Responder
    key: HsmPrivateKey


class Desk:
    """One thread's workspace, logged in as each responder."""

    def __init__(self, workspace: Workspace, tell: Tell) -> None:
        self._workspace = workspace
        self._tell = tell
        self._pins: dict[str, Pin] = {}
        self._issuers: dict[IssuerId, int] = {}
        self._counters: dict[int, Counter] = {}
        self._refused: dict[str, SmkiError] = {}
        self._trouble: dict[ResponderRecord, SmkiError] = {}
        self._looked_at = 0.0

    @property
    def policy(self) -> OcspPolicy:
        return self._workspace.policies.ocsp

    @property
    def store_url(self) -> str:
        return self._workspace.store_url

    def now(self) -> datetime:
        return self._workspace.clock()

    @property
    def counters(self) -> dict[int, Counter]:
        """By the number of the authority."""
        return self._counters

    def open(self) -> None:
        """Log in and prove every key; refuse to begin with nobody to answer, or with a register that was put back."""
        refuse_behind(self._workspace)
        self._look()
        if self._counters:
            return
        if self._trouble:
            raise next(iter(self._trouble.values()))
        raise Refused(
            "ocsp.no-responder",
            "no responder may answer: none was appointed, or all have expired or are revoked",
            "appoint one: smki ocsp appoint AUTHORITY --token NAME",
        )

    def look(self) -> set[int]:
        """See who was appointed, has expired or was revoked; give the authorities whose responder is another now."""
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return set()
        before = {number: counter.responder for number, counter in self._counters.items()}
        self._look()
        after = {number: counter.responder for number, counter in self._counters.items()}
        return {number for number in before | after if before.get(number) != after.get(number)}

    def _look(self) -> None:
        now = self._workspace.clock()
        here = [item for item in appointed(self._workspace) if item.record.token in self._workspace.tokens]
        here = [item for item in here if item.authority.hierarchy in self.policy.hierarchies]
        self._issuers = {
            issuer: item.authority.number
            for item in here
            for issuer in issuer_ids(subject_of(item.authority), key_of(item.authority))
        }
        counters: dict[int, Counter] = {}
        for item in here:
            number = item.authority.number
            if number not in counters and item.may_answer(now):
                counter = self._counter(item)
                if counter is not None:
                    counters[number] = counter
        self._tell_ended(counters, {item.record: item.state(now) for item in here})
        self._counters = counters
        self._looked_at = time.monotonic()

    def _tell_ended(self, counters: dict[int, Counter], states: dict[ResponderRecord, State]) -> None:
        """For whom nobody answers from now on: clients are told to come later, and somebody here why."""
        for number in self._counters.keys() - counters.keys():
            last = self._counters[number].appointed
            facts = {"authority": last.authority.name, "serial": str(last.record.serial)}
            self._tell("ocsp.ended", level="error", **facts, state=states.get(last.record, "not served"))

    def _counter(self, item: Appointed) -> Counter | None:
        """The one there is, or a new one; where its key cannot be had now, an older one may answer instead."""
        number = item.authority.number
        old = self._counters.get(number)
        if old is not None and old.appointed.record == item.record:
            return replace(old, appointed=item)
        try:
            public_key = public_key_of(self._workspace, item)
            key = self._open_token(item.record.token).find_key(key_id=item.record.key_id, public_key=public_key)
        except SmkiError as error:
            self._note(item, error)
            return None
        self._note(item, None)
        facts = {"authority": item.authority.name, "token": item.record.token, "serial": str(item.record.serial)}
        self._tell("ocsp.responder", **facts, until=item.certificate.not_after.isoformat())
        return Counter(item, Responder.of(item.certificate.der, public_key), key)

    def _open_token(self, name: str) -> "Token":
        """As long as this process lives its PIN is remembered: nobody is there to type it when a token comes back."""
        workspace = self._workspace
        if name not in self._pins:
            self._pins[name] = workspace.pin(name)()
        known = workspace.store.token(name)
        return workspace.hsm.open(workspace.token_ref(name), lambda: self._pin(name), known.serial if known else None)

    def _pin(self, name: str) -> Pin:
        """One that was refused is not sent again: clients come every second, and most tokens lock after a few."""
        if name in self._refused:
            raise self._refused[name].with_traceback(None)
        return self._pins[name]

    def _note(self, item: Appointed, error: SmkiError | None) -> None:
        """Tell of trouble when it begins and when it ends, and not a thousand times between."""
        before = self._trouble.get(item.record)
        facts = {"authority": item.authority.name, "serial": str(item.record.serial)}
        if error is None:
            if before is not None:
                del self._trouble[item.record]
                self._tell("ocsp.recovered", **facts, code=before.code)
            return
        if error.code.startswith("hsm.pin-"):
            self._refused.setdefault(item.record.token, error)
        self._trouble[item.record] = error
        if before is None or before.code != error.code:
            self._tell("ocsp.trouble", **facts, code=error.code, message=error.message)

    # Answering

    def answer(self, queries: Sequence[Query]) -> list[Answer | Failure]:
        """An answer for each: many at once, because they are looked up and signed together."""
        now = self._workspace.clock()
        found: list[Answer | Failure] = [Failure.INTERNAL] * len(queries)
        groups: defaultdict[int, list[int]] = defaultdict(list)
        for place, query in enumerate(queries):
            route = self._route(query, now)
            if isinstance(route, Failure):
                found[place] = route
            else:
                groups[route.appointed.authority.number].append(place)
        for number, places in groups.items():
            answers = self._answer_one(self._counters[number], [queries[place] for place in places])
            for place, answer in zip(places, answers, strict=True):
                found[place] = answer
        return found

    def _route(self, query: Query, now: datetime) -> Counter | Failure:
        """Who answers: the one responder whose authority issued all that is asked about."""
        numbers = {self._issuers.get(item.issuer) if item.issuer is not None else None for item in query.asked}
        number = numbers.pop() if len(numbers) == 1 else None
        if number is None:
            return Failure.UNAUTHORIZED  # RFC 5019 2.2.3; one signature cannot speak for two authorities
        counter = self._counters.get(number)
        return counter if counter is not None and counter.appointed.may_answer(now) else Failure.TRY_LATER

    def _answer_one(self, counter: Counter, queries: list[Query]) -> Sequence[Answer | Failure]:
        """For one authority; what cannot be reached now may be back soon, what contradicts itself is our fault."""
        try:
            answers = self._sign(counter, queries)
        except SmkiError as error:
            self._note(counter.appointed, error)
            return [Failure.TRY_LATER if isinstance(error, Unavailable) else Failure.INTERNAL] * len(queries)
        self._note(counter.appointed, None)
        return answers

    def _sign(self, counter: Counter, queries: list[Query]) -> list[Answer]:
        number, responder = counter.appointed.authority.number, counter.responder
        now = self._workspace.clock().replace(microsecond=0)
        end = min(now + self.policy.valid, counter.appointed.certificate.not_after)
        store = self._workspace.store
        seen = store.revocations.last_number(number)  # before the register is read: see Kept.put
        said = iter(statuses(store, number, [item.serial for query in queries for item in query.asked]))
        drafts = []
        for query in queries:
            told = [(item, next(said)) for item in query.asked]
            singles = [single(item.cert_id, status, now, end) for item, status in told]
            # That a number is unknown may change at any moment, without a word: only the rest is kept.
            plain = query.plain if all(status is not False for _, status in told) else None
            drafts.append((to_be_signed(responder, now, singles, query.nonce), query, plain))
        signatures = _signatures(counter.key, [hashlib.sha256(octets).digest() for octets, _, _ in drafts])
        return [
            Answer(
                octets=assemble(responder, octets, signature),
                issuer=number,
                serials=tuple(item.serial for item in query.asked),
                made_at=now,
                next_update=end,
                plain=plain,
                seen=seen,
            )
            for (octets, query, plain), signature in zip(drafts, signatures, strict=True)
        ]

    # Ahead of being asked

    def wanted_ahead(self) -> list[Query]:
        """Each certificate in force, as clients ask for it, where they are few enough."""
        found = self._workspace.store.responders.alive(self._workspace.clock(), self.policy.ahead)
        issuers: defaultdict[int, list[IssuerId]] = defaultdict(list)
        for issuer, number in self._issuers.items():
            issuers[number].append(issuer)
        return [
            Query((Asked(cert_id(issuer, serial.number), issuer, serial.number),), None)
            for number, serial in found or ()
            for issuer in issuers[number]
            if number in self._counters
        ]


def _signatures(key: HsmPrivateKey, digests: list[bytes]) -> list[bytes]:
    """Not verified again: the key was proven to be the certificate's, and a wrong answer convinces nobody."""
    plain = key.sign_digests(digests) if len(digests) >= MANY else list(map(key.sign_digest, digests))
    return list(map(der_signature, plain))
