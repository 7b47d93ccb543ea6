"""Users who announce what they sign: with keys in a token."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from smki.authority.workspace import Workspace
from smki.entity import EntityId
from smki.gbcs.message import Message
from smki.parties.announcing import announce, announcing_key, handed_out
from smki.parties.broker.desk import BrokerDesk
from smki.parties.broker.officers import sign_as_officer
from smki.parties.broker.thresholds import Set, set_thresholds
from smki.parties.intake import Given
from smki.parties.outcome import Outcome
from smki.parties.signing_rules import Shown
from tests.house import NOW, House
from tests.parties.broker.deciders import Officer, officer_of, organisation, put_roll
from tests.parties.broker.world import User as Outsider
from tests.parties.broker.world import World, run
from tests.parties.people import ECS43, User, arming, given


@dataclass
class Announcer:
    """A supplier with a key in the token, as the broker knows it."""

    user: User
    world: World
    ann: Officer = field(init=False)
    serial: int = 0

    def __post_init__(self) -> None:
        workspace = self.world.house.workspace
        put_roll(workspace)
        self.ann = officer_of(workspace, organisation(workspace, self.user.role, self.entity))
        self.world.others.append(self.user.certificate)

    @property
    def house(self) -> House:
        return self.user.house

    @property
    def entity(self) -> EntityId:
        return self.user.entity

    @property
    def key(self) -> bytes:
        return announcing_key(self.house.workspace)

    @property
    def as_owner(self) -> Outsider:
        """Whom the registration data names."""
        return Outsider(self.entity, self.user.role, None, self.user.certificate)  # type: ignore[arg-type]

    def thresholds(self, *keys: bytes, more: str = "") -> str:
        """The next file of its own."""
        self.serial += 1
        since, until = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (NOW, NOW + timedelta(days=90)))
        head = f'form = "smki-broker-thresholds/1"\nowner = "{self.entity}"\nserial = {self.serial}\n'
        texts = ", ".join(f'"{base64.b64encode(key).decode()}"' for key in keys)
        table = f"[announcements]\nkeys = [{texts}]\n" if keys else ""
        return f"{head}since = {since}\nuntil = {until}\n{more}{table}"

    def register(self, *keys: bytes) -> Set:
        """One officer's word is enough to begin with."""
        return put(self.world.house.workspace, self.thresholds(*(keys or (self.key,))), self.ann)

    def opens(self, counter: int, meter: EntityId) -> Message:
        """A pre-command that turns a home's supply off."""
        return arming(counter, code=ECS43, target=meter, originator=self.entity)

    def signs(self, *messages: Message) -> list[Given]:
        """With the key in its token."""
        desk = self.user.desk
        judged = desk.judge(map(given, messages), None)
        found = [*desk.sign(judged, Shown.SEEN)]
        assert {one.result for one in found} <= {"signed", "signed before"}, found
        return [Given(one.reference, one.message) for one in found]

    def announces(self) -> bytes:
        record = announce(self.house.workspace, self.entity)
        assert record is not None
        assert record.file is not None
        handed_out(self.house.workspace, record)
        return record.file


def put(workspace: Workspace, content: str, *officers: Officer) -> Set:
    return set_thresholds(workspace, [sign_as_officer(content.encode(), one.name, one.key, NOW) for one in officers])


def submit(world: World, *sent: Given) -> list[Outcome]:
    """To a broker whose limits are those that officers set."""
    desk = BrokerDesk(world.house.workspace, world.broker.holder.entity, world.agreement(), world.others)
    return run(desk, lambda desk: desk.submit(sent))


def results(outcomes: Sequence[Outcome]) -> list[str]:
    return [one.result for one in outcomes]


def announcer(world: World) -> Announcer:
    """One with an EUI-64 that nobody else has; in a laboratory all have one workspace."""
    number = next(world.numbers)
    entity = EntityId((0x90B3D51F50000000 + number).to_bytes(8))
    return Announcer(User(world.house, entity=entity, label=f"ds-{number}"), world)
