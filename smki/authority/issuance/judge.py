"""Judgement of requests against what is on record: keys, entities, the subscriber, the certificate renewed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from smki.authority.issuance.order import Order
from smki.authority.registration import ineligible
from smki.pki.request import Request, Unfit
from smki.pki.status import Status
from smki.pki.verdict import Fault
from smki.store.certificates import Certificates, Certified, Use
from smki.store.records import CertificateRecord, OrganisationRecord

_REMEDIES = {
    "key.certified": "make a new key pair: a key is certified once",
    "entity.in-use": "renew it with `smki cert renew`, or set the one in use to not in use",
    "renewal.entity": "ask for the entity, role and usage of the certificate that is renewed",
}


class Judge:
    """Says of a chunk of requests who is answered. What it allowed and is not yet stored, it remembers."""

    def __init__(self, certificates: Certificates, order: Order) -> None:
        self._certificates = certificates
        self._order = order
        self._subscriber = order.subscriber
        # What replaces another begins as pending: it takes over by `smki cert status`, in one act.
        self.first_status = order.rule.first_status if order.renews is None else Status.PENDING
        self._counts = self.first_status is Status.IN_USE
        self._keys: set[bytes] = set()
        self._uses: Counter[Use] = Counter()

    def look_again(self, subscriber: OrganisationRecord | None) -> None:
        """The subscriber as it is now: it may be suspended at any time."""
        if subscriber is not None:
            self._subscriber = subscriber

    def certified(self, requests: Sequence[Request]) -> dict[bytes, Certified]:
        """Which of their keys are certified already."""
        return self._certificates.certified([request.key_hash for request in requests]) if requests else {}

    def in_use(self, requests: Iterable[Request], now: datetime) -> dict[Use, int]:
        entities = {request.entity.octets for request in requests if request.entity is not None}
        return self._certificates.in_use(list(entities), now) if entities else {}

    def answered_by(self, request: Request, certified: dict[bytes, Certified]) -> Certified | None:
        """The certificate this very request had before."""
        found = certified.get(request.key_hash)
        if found is None or found.request != short(request.digest):
            return None
        return found if found.subscriber == self._order.subscriber.number else None

    def faults(
        self,
        request: Request | Unfit,
        certified: dict[bytes, Certified],
        in_use: dict[Use, int],
    ) -> tuple[Fault, ...]:
        """Every rule a request breaks; with none, it is counted as being answered."""
        if isinstance(request, Unfit):
            return request.faults
        order = self._order
        found = ineligible(self._subscriber, order.rule.kind, request)
        if order.renews is not None:
            found += self._renewal(request, order.renews)
        found += self._of_record(request, certified, in_use)
        if not found:
            self._keys.add(request.key_hash)
            if self._counts and request.entity is not None:
                self._uses[request.entity.octets, request.usage, request.role] += 1
        return tuple(found)

    def forget(self, requests: Iterable[Request]) -> None:
        """They are stored now, or given up."""
        for request in requests:
            self._keys.discard(request.key_hash)
            if self._counts and request.entity is not None:
                self._uses[request.entity.octets, request.usage, request.role] -= 1
                self._uses += Counter()  # drops what is down to nothing

    def _of_record(
        self,
        request: Request,
        certified: dict[bytes, Certified],
        in_use: dict[Use, int],
    ) -> list[Fault]:
        found = []
        key_hash = request.key_hash
        if key_hash in certified or key_hash in self._keys:
            found.append(_fault("key.certified", "the key is certified already"))
        if request.entity is not None and self._order.renews is None:
            place = (request.entity.octets, request.usage, request.role)
            count = in_use.get(place, 0) + self._uses[place]
            if count and count >= self._order.rule.in_use_limit(request.role, request.usage):
                found.append(
                    _fault("entity.in-use", f"{request.entity} has {count} in use for {request.usage.value}")
                )
        return found

    @staticmethod
    def _renewal(request: Request, old: CertificateRecord) -> list[Fault]:
        if (old.entity, old.role, old.usage) == (request.entity, request.role, request.usage):
            return []
        return [_fault("renewal.entity", "entity, role or usage is not that of the certificate renewed")]


def _fault(code: str, message: str) -> Fault:
    return Fault(code, message, _REMEDIES[code])


def short(digest: bytes) -> bytes:
    """As the store keeps a request's digest."""
    return digest[:16]
