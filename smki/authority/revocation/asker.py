"""Who asks for a revocation, in which capacity, and whether that is proven or an administrator's word."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.officers import read_public_key
from smki.authority.registration import officers_in_force
from smki.authority.revocation.policy import Requester
from smki.authority.revocation.request import Asked
from smki.authority.workspace import Workspace
from smki.errors import Refused
from smki.pki.public_key import spki_of
from smki.store.records import OfficerRecord
from smki.store.revocations import Target
from smki.words import utc

_Key = ec.EllipticCurvePublicKey | None


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who may be heard."""

    name: str
    capacity: Requester
    organisation: str
    """Of a subscriber's officer."""
    signed: bool
    """Proven by a signature; if not, it is the word of whoever typed it."""
    key: bytes = field(default=b"", repr=False)
    """Public, as it is on record; empty where none is."""

    @property
    def words(self) -> str:
        whose = f" of {self.organisation}" if self.organisation else ""
        return f"{self.name}{whose}, {self.capacity.value}"

    def is_officer(self, officer: OfficerRecord) -> bool:
        """By name or by key: two roles do not make two people."""
        return self.name.casefold() == officer.name.casefold() or self.key == officer.public_key


def asker(workspace: Workspace, asked: Asked, targets: Sequence[Target]) -> Asker:
    """Find who asks among those who could; with a signed request, whose key signed it."""
    found = [
        (one, key)
        for one, key in _candidates(workspace, targets)
        if one.name == asked.requested_by and asked.capacity in {None, one.capacity}
    ]
    if not found:
        raise Refused(
            "revoke.requester",
            f"{asked.requested_by} is no officer in force of the one they were issued to, no officer of the"
            " authority, and no policy authority",
            "see `smki org show` and `smki officer list`; the policy authority is named in policies/revocation.toml",
        )
    if asked.signed is not None:
        return _signer(workspace, asked, found)
    if len({one.capacity for one, _ in found}) > 1:
        choices = " or ".join(f"{one.capacity.value}:{one.name}" for one, _ in found)
        raise Refused("revoke.requester", f"{asked.requested_by} could be several", f"say which: {choices}")
    return found[0][0]


def _signer(workspace: Workspace, asked: Asked, found: Sequence[tuple[Asker, _Key]]) -> Asker:
    assert asked.signed is not None, "looked at before"
    assert asked.made_at is not None, "a signed request says so"
    now, oldest = workspace.clock(), workspace.policies.revocation.oldest_request
    if not now - oldest <= asked.made_at <= now:
        raise Refused("revoke.request-age", f"it was made at {utc(asked.made_at)}", "have it signed anew")
    for one, key in found:
        if key is not None and asked.signed.is_signed_by(key):
            return replace(one, signed=True)
    raise Refused(
        "revoke.signature",
        f"the request is not signed by a key of {asked.requested_by} that is on record",
        "sign it with the key of the officer's certificate in force, or of the roll",
    )


def _candidates(workspace: Workspace, targets: Sequence[Target]) -> Iterator[tuple[Asker, _Key]]:
    subscribers = {target.subscriber for target in targets}
    if len(subscribers) == 1 and (number := subscribers.pop()) is not None:
        organisation = workspace.store.organisations.numbered(number)
        assert organisation is not None, "certificates name organisations on record"
        for officer, key in officers_in_force(workspace, organisation):
            yield Asker(officer.name, Requester.SUBSCRIBER, organisation.name, False, spki_of(key)), key
    for record in workspace.store.officers():
        on_roll = read_public_key(record.public_key, record.name)
        yield Asker(record.name, Requester.AUTHORITY, "", False, spki_of(on_roll)), on_roll
    for name, known in workspace.policies.revocation.policy_authority.items():
        spki = b"" if known is None else spki_of(known)
        yield Asker(name, Requester.POLICY_AUTHORITY, "", False, spki), known
