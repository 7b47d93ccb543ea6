"""Users who announce what they sign: with keys in a token."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.workspace import Workspace
from smki.entity import EntityId
from smki.errors import SmkiError
from smki.gbcs.message import Message, read_message
from smki.gbcs.protection import sign
from smki.hsm.key import HsmPrivateKey
from smki.parties.announcement import Announcement
from smki.parties.announcing import announce, announcing_key, handed_out
from smki.parties.broker.announced import take
from smki.parties.broker.desk import BrokerDesk
from smki.parties.broker.officers import sign_as_officer
from smki.parties.broker.thresholds import Set, set_thresholds
from smki.parties.intake import Given
from smki.parties.outcome import Outcome
from smki.parties.signing_rules import Shown
from smki.pki.public_key import spki_of
from smki.store.note import sign_note
from tests.house import NOW
from tests.parties.broker.deciders import Officer, officer_of, organisation, put_roll
from tests.parties.broker.world import User as Outsider
from tests.parties.broker.world import World, run
from tests.parties.people import ECS43, User, arming, given

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
Key = ec.EllipticCurvePrivateKey | HsmPrivateKey


@dataclass
class Announcer:
    """A supplier with a key in the token, as the broker knows it."""

    user: User
    world: World
    ann: Officer = field(init=False)
    serial: int = 0

    def __post_init__(self) -> None:
        put_roll(self.workspace)
        self.ann = officer_of(self.workspace, organisation(self.workspace, self.user.role, self.entity))
        self.world.others.append(self.user.certificate)

    @property
    def workspace(self) -> Workspace:
        """In a laboratory the user's and the broker's."""
        return self.world.house.workspace

    @property
    def entity(self) -> EntityId:
        return self.user.entity

    @property
    def key(self) -> bytes:
        return announcing_key(self.workspace)

    @property
    def signing_key(self) -> HsmPrivateKey:
        """What a thief has."""
        public = self.user.certificate.holder.public_key
        return self.workspace.open_token("keys").find_key(label=self.user.label, public_key=public)

    def meters(self, number: int) -> list[EntityId]:
        """Its own, by the registration data."""
        owner = Outsider(self.entity, self.user.role, ec.generate_private_key(ec.SECP256R1()), self.user.certificate)
        return self.world.devices(number, owner)

    def thresholds(self, *keys: bytes, more: str = "") -> str:
        """The next file of its own."""
        self.serial += 1
        return own_thresholds(self.entity, self.serial, *keys, more=more)

    def register(self, *keys: bytes) -> Set:
        """One officer's word is enough to begin with."""
        return put(self.workspace, self.thresholds(*(keys or (self.key,))), self.ann)

    def opens(self, counter: int, meter: EntityId) -> Message:
        """A pre-command that turns a home's supply off."""
        return arming(counter, code=ECS43, target=meter, originator=self.entity)

    def signs(self, *messages: Message) -> list[Given]:
        """At its desk: its store has them on record."""
        desk = self.user.desk
        found = [*desk.sign(desk.judge(map(given, messages), None), Shown.SEEN)]
        assert {one.result for one in found} <= {"signed", "signed before"}, found
        return [Given(one.reference, one.message) for one in found]

    def stolen(self, *messages: Message) -> list[Given]:
        """By the same key, at no desk."""
        return [Given(str(one.header.counter), sign(one, self.signing_key).encode()) for one in messages]

    def announces(self) -> bytes:
        record = announce(self.workspace, self.entity)
        assert record is not None
        assert record.file is not None
        handed_out(self.workspace, record)
        return record.file

    def says(self, *sent: Given, number: int, after: int = 0, **changed: object) -> Announcement:
        """What it could announce."""
        digests = tuple(hash_of(one) for one in sent)
        return replace(Announcement(self.entity, number, after, self.world.moments[0], digests), **changed)  # type: ignore[arg-type]


def own_thresholds(entity: EntityId, serial: int, *keys: bytes, more: str = "") -> str:
    since, until = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (NOW, NOW + timedelta(days=90)))
    head = f'form = "smki-broker-thresholds/1"\nowner = "{entity}"\nserial = {serial}\n'
    texts = ", ".join(f'"{base64.b64encode(key).decode()}"' for key in keys)
    table = f"[announcements]\nkeys = [{texts}]\n" if keys else ""
    return f"{head}since = {since}\nuntil = {until}\n{more}{table}"


def hash_of(one: Given) -> bytes:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(one.octets)
    return digest.finalize()


def signed_by(key: Key, said: Announcement, name: str = "", text: str | None = None) -> bytes:
    """A file, whoever may sign it."""
    spki = spki_of(key.public_key())
    text = said.text() if text is None else text
    note = sign_note(name or str(said.originator), text, spki, lambda data: key.sign(data, ec.ECDSA(hashes.SHA256())))
    return note.encode()


def put(workspace: Workspace, content: str, *officers: Officer) -> Set:
    return set_thresholds(workspace, [sign_as_officer(content.encode(), one.name, one.key, NOW) for one in officers])


def submit(world: World, *sent: Given) -> list[Outcome]:
    """To a broker whose limits are those that officers set."""
    desk = BrokerDesk(world.house.workspace, world.broker.holder.entity, world.agreement(), world.others)
    return run(desk, lambda desk: desk.submit(sent))


def results(outcomes: Sequence[Outcome]) -> list[str]:
    return [one.result for one in outcomes]


def resigned(one: Given, key: HsmPrivateKey) -> Given:
    """The same pre-command with another signature by the same key."""
    return Given(one.reference, sign(replace(read_message(one.octets), signature=None), key).encode())


def malleated(one: Given) -> Given:
    """The second signature that holds where the first does, (r, n - s): anybody makes it."""
    message = read_message(one.octets)
    assert message.signature is not None
    r, s = message.signature[:32], int.from_bytes(message.signature[32:])
    return Given(one.reference, replace(message, signature=r + (_ORDER - s).to_bytes(32)).encode())


def announcer(world: World) -> Announcer:
    """One with an EUI-64 that nobody else has."""
    number = next(world.numbers)
    entity = EntityId((0x90B3D51F50000000 + number).to_bytes(8))
    return Announcer(User(world.house, entity=entity, label=f"ds-{number}"), world)


def refusal(world: World, data: bytes) -> str:
    """Of a refusal, which leaves no entry in the log."""
    before = world.house.workspace.store.audit_size()
    with pytest.raises(SmkiError) as caught:
        take(world.house.workspace, data)
    assert caught.value.remedy
    assert world.house.workspace.store.audit_size() == before
    return caught.value.code


def limit(count: int) -> str:
    return f'[[limit]]\nname = "a"\nuse_cases = ["supply off"]\ncount = {count}\nwindow = "1h"\n'
