"""How two devices agree on a key over the network of the home: methods A and B (GBCS 13.7).

In a home this is the radio's business: certificates and key establishment of ZigBee. What stands here is the place
where a radio goes, `Radio` and `Peer`, and one thing that fills it: static ECDH on P-256 with the devices' key
agreement certificates, fresh numbers from both, and confirmation both ways, all bound to both EUI-64s and both
certificates. It is not ZigBee's CBKE suite (other curves, implicit certificates, other messages), and no radio in
service speaks it.
"""

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from smki.device.network import Partner
from smki.device.update import MAX_CERTIFICATE_OCTETS
from smki.entity import DeviceType, EntityId, KeyUsage
from smki.errors import InvalidInput
from smki.gbcs.agreement import Agreement
from smki.gbcs.payload.joins import JoinCode
from smki.pki.holder import Holder, holder, load_certificate

SUITE = 0x0001
NONCE_OCTETS = 16
_LABEL = b"smki home network join 1"
_LINK_KEY, _CONFIRM_KEY = 16, 32
_INITIATOR, _RESPONDER = b"initiator", b"responder"


@dataclass(frozen=True, slots=True)
class Offer:
    """How the one that was told begins."""

    device: EntityId
    kind: DeviceType
    named: DeviceType
    """What it was told that the other is."""
    certificate: bytes = field(repr=False)
    nonce: bytes
    suite: int = SUITE


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other says, and its proof that it has the key."""

    certificate: bytes = field(repr=False)
    nonce: bytes
    confirmation: bytes
    suite: int = SUITE


class Peer(Protocol):
    """A device at the other end of the radio."""

    def answer(self, offer: Offer) -> Answer | JoinCode:
        """Its answer, or why it has none."""

    def confirm(self, confirmation: bytes) -> bool:
        """Whether it believes that we have the key; it keeps the key if it does."""


class Radio(Protocol):
    """Whom a device can reach."""

    def reach(self, device: EntityId) -> Peer | JoinCode:
        """A device; else that the hub does not introduce it, or that nobody answers."""


class Silence:
    """No radio at all."""

    def reach(self, device: EntityId) -> Peer | JoinCode:  # noqa: ARG002 - nobody is there, whoever is called
        return JoinCode.NO_RESPONSE


@dataclass(frozen=True)
class Surroundings:
    """What a device needs of the world when it joins: a radio, numbers nobody can guess, and a memory that holds."""

    radio: Radio = field(default_factory=Silence)
    entropy: Callable[[int], bytes] = os.urandom
    writes: Callable[[], bool] = lambda: True
    """Whether its memory takes another device log."""


ALONE = Surroundings()


@dataclass(frozen=True)
class Party:
    """One end: a device, its certificate, what it agrees with, and whose certificates it believes."""

    device: EntityId
    kind: DeviceType
    certificate: bytes = field(repr=False)
    agreement: Agreement
    issuers: tuple[x509.Certificate, ...]


def establish(own: Party, other: EntityId, named: DeviceType, around: Surroundings) -> Partner | JoinCode:
    """Begin, and give what is needed to agree on the same again; or say what went wrong."""
    peer = around.radio.reach(other)
    if isinstance(peer, JoinCode):
        return peer
    offer = Offer(own.device, own.kind, named, own.certificate, around.entropy(NONCE_OCTETS))
    answer = peer.answer(offer)
    if isinstance(answer, JoinCode):
        return answer
    who = _believed(own, answer.certificate, other, answer.nonce, answer.suite)
    if isinstance(who, JoinCode):
        return who
    partner = Partner(answer.certificate, _transcript(offer, other, answer.certificate, answer.nonce))
    proof = _confirmation(own.agreement, who, partner, _RESPONDER)
    if not hmac.compare_digest(proof, answer.confirmation):
        return JoinCode.BAD_KEY_CONFIRM
    if not peer.confirm(_confirmation(own.agreement, who, partner, _INITIATOR)):
        return JoinCode.BAD_KEY_CONFIRM
    return partner


class Responder:
    """The other end: has one offer under way, the last that it answered. What was confirmed well is in `partner`.

    A new offer takes the place of the one before: whoever offers and then falls silent keeps nobody else out.
    """

    def __init__(self, own: Party, entropy: Callable[[int], bytes], known: Callable[[Offer], bool]) -> None:
        self._own = own
        self._entropy = entropy
        self._known = known
        self._under_way: tuple[EntityId, Partner, bytes] | None = None
        self.partner: tuple[EntityId, Partner] | None = None

    def answer(self, offer: Offer) -> Answer | JoinCode:
        if offer.named is not self._own.kind or not self._known(offer):
            return JoinCode.NO_RESPONSE  # taken for another, or not told of this one: it talks to no stranger
        who = _believed(self._own, offer.certificate, offer.device, offer.nonce, offer.suite)
        if isinstance(who, JoinCode):
            return who
        nonce = self._entropy(NONCE_OCTETS)
        transcript = _transcript(offer, self._own.device, self._own.certificate, nonce)
        partner = Partner(offer.certificate, transcript)
        expected = _confirmation(self._own.agreement, who, partner, _INITIATOR)
        self._under_way = offer.device, partner, expected
        proof = _confirmation(self._own.agreement, who, partner, _RESPONDER)
        return Answer(self._own.certificate, nonce, proof)

    def confirm(self, confirmation: bytes) -> bool:
        if self._under_way is None:
            return False
        device, partner, expected = self._under_way
        self._under_way = None
        if not hmac.compare_digest(expected, confirmation):
            return False
        self.partner = device, partner
        return True


def link_key(agreement: Agreement, partner: Partner) -> bytes:
    """The key that both ends share after methods A and B, agreed anew."""
    who = holder(load_certificate(partner.certificate, "the other device's certificate"), "the other device")
    return _keys(agreement, who, partner)[:_LINK_KEY]


def _believed(own: Party, certificate: bytes, device: EntityId, nonce: bytes, suite: int) -> Holder | JoinCode:
    """Who showed a certificate; the codes are those of ZigBee's own reasons to end an establishment."""
    if suite != SUITE:
        return JoinCode.UNSUPPORTED_SUITE
    if len(nonce) != NONCE_OCTETS or len(certificate) > MAX_CERTIFICATE_OCTETS:
        return JoinCode.BAD_MESSAGE
    try:
        read = load_certificate(certificate, "what was shown")
        if not any(_is_issued_by(read, issuer) for issuer in own.issuers):
            return JoinCode.UNKNOWN_ISSUER
        who = holder(read, "what was shown")
    except InvalidInput:
        return JoinCode.BAD_MESSAGE
    if (
        who.role is not None
        or who.usage is not KeyUsage.KEY_AGREEMENT
        or who.entity != device
        or device == own.device
    ):
        return JoinCode.BAD_MESSAGE
    return who


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _transcript(offer: Offer, responder: EntityId, certificate: bytes, nonce: bytes) -> bytes:
    """Everything said so far, each part of one length: nothing of it can be taken for something else."""
    digests = (hashlib.sha256(der).digest() for der in (offer.certificate, certificate))
    names = offer.device.octets + responder.octets
    kinds = b"".join(hashlib.sha256(kind.value.encode()).digest() for kind in (offer.kind, offer.named))
    return hashlib.sha256(b"".join((_LABEL, names, kinds, *digests, offer.nonce, nonce))).digest()


def _confirmation(agreement: Agreement, who: Holder, partner: Partner, role: bytes) -> bytes:
    key = _keys(agreement, who, partner)[_LINK_KEY:]
    return hmac.digest(key, role + partner.transcript, "sha256")


def _keys(agreement: Agreement, who: Holder, partner: Partner) -> bytes:
    with agreement.with_peer(who.public_key, partner.certificate) as secret:
        return secret.derive(_LABEL, partner.transcript, _LINK_KEY + _CONFIRM_KEY)
