"""A world for devices: an ESME with all its cells, and everyone who talks to it. Keys in memory."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.policies import Policies, load_policies
from smki.authority.workspace import SHIPPED
from smki.device.cells import Cell, CellName, CellUse
from smki.device.receive import Received, receive
from smki.device.state import DeviceKeys, DeviceState
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.gbcs.agreement import SharedSecret, agree
from smki.gbcs.header import Cra, Header, MessageCode
from smki.gbcs.message import Message
from smki.gbcs.protection import add_mac, sign
from smki.gbcs.top_up import TopUp, ValueClass, make_utrn
from tests.parties.people import BROKER, METER, SUPPLIER, arming, certificate, root

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PARTIES = {
    RemotePartyRole.SUPPLIER: SUPPLIER,
    RemotePartyRole.NETWORK_OPERATOR: EntityId.parse("90-B3-D5-1F-30-02-00-00"),
    RemotePartyRole.ACCESS_CONTROL_BROKER: BROKER,
    RemotePartyRole.TRANSITIONAL_COS: EntityId.parse("90-B3-D5-1F-30-00-00-04"),
    RemotePartyRole.RECOVERY: EntityId.parse("90-B3-D5-1F-30-00-00-01"),
}
TOP_UP_COMMAND = MessageCode(0x0007)
READ = MessageCode(0x0027)


@cache
def policies() -> Policies:
    return load_policies(SHIPPED / "policies")


@cache
def key(name: CellName) -> ec.EllipticCurvePrivateKey:
    """The private half of what is in a cell."""
    return ec.generate_private_key(ec.SECP256R1())


@cache
def filled(name: CellName, entity: EntityId | None = None, mine: ec.EllipticCurvePrivateKey | None = None) -> Cell:
    """A cell with somebody's certificate; by default that of whoever belongs there."""
    if name.use.key_usage is None:
        return Cell.of(root().der, name)
    public = (mine or key(name)).public_key()
    one = certificate(public, entity or PARTIES[name.role], name.role, name.use.key_usage)
    return Cell.of(one.certificate.public_bytes(Encoding.DER), name)


@cache
def keys() -> DeviceKeys:
    return DeviceKeys(ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1()))


@cache
def own() -> dict[KeyUsage, bytes]:
    pairs = ((KeyUsage.DIGITAL_SIGNATURE, keys().signing), (KeyUsage.KEY_AGREEMENT, keys().agreement))
    return {
        usage: certificate(mine.public_key(), METER, None, usage).certificate.public_bytes(Encoding.DER)
        for usage, mine in pairs
    }


def esme() -> DeviceState:
    """A meter that heard from nobody yet."""
    cells = {name: filled(name) for name in policies().devices[DeviceType.ESME]}
    return DeviceState(
        device=METER,
        kind=DeviceType.ESME,
        bundle=1,
        cells=cells,
        counters=dict.fromkeys(PARTIES, 0),
        tokens=(),
        token_floor=0,
        own_counter=1,
        own=own(),
        use_cases=policies().use_cases,
    )


@dataclass
class Desk:
    """A meter, and a way to talk to it."""

    state: DeviceState = field(default_factory=esme)

    def receive(self, message: Message | bytes) -> Received:
        octets = message if isinstance(message, bytes) else message.encode()
        found = receive(self.state, keys(), octets, NOW)
        self.state = found.state
        return found


def signer(role: RemotePartyRole = RemotePartyRole.SUPPLIER) -> ec.EllipticCurvePrivateKey:
    return key(CellName(role, CellUse.DIGITAL_SIGNATURE))


def with_mac(message: Message, mine: ec.EllipticCurvePrivateKey | None = None) -> Message:
    """The broker's MAC, or that of whoever claims to be it."""
    broker = mine or key(CellName(RemotePartyRole.ACCESS_CONTROL_BROKER, CellUse.KEY_AGREEMENT))
    with agree(broker, keys().agreement.public_key()) as secret:
        return add_mac(message, secret)


def command(counter: int = 1000, code: int = 0x0051) -> Message:
    """A critical command as it should be: the supplier's signature, the broker's MAC."""
    return with_mac(sign(arming(counter, code=MessageCode(code)), signer()))


def unsigned(counter: int = 1000, code: MessageCode = READ) -> Message:
    """A command with the MAC alone."""
    return with_mac(arming(counter, code=code))


def token_command(top_up: TopUp, secret: SharedSecret) -> Message:
    """A prepayment token, before the broker's MAC."""
    digits = make_utrn(top_up, secret).digits.encode()
    payload = bytes.fromhex("d920000000000103007300001328 00ff010109 14".replace(" ", "")) + digits
    return Message(Header(Cra.COMMAND, top_up.counter, top_up.originator, top_up.target, TOP_UP_COMMAND), payload)


def paying(number: int, *, value: int = 10, mine: ec.EllipticCurvePrivateKey | None = None) -> Message:
    """A prepayment token, as the supplier sends it (CS01a)."""
    top_up = TopUp(SUPPLIER, METER, number, ValueClass.POUNDS, value)
    supplier = mine or key(CellName(RemotePartyRole.SUPPLIER, CellUse.TOP_UP))
    with agree(supplier, keys().agreement.public_key()) as secret:
        return with_mac(token_command(top_up, secret))


def changed(message: Message, **changes: object) -> Message:
    """A message whose header says something else."""
    return replace(message, header=replace(message.header, **changes))  # type: ignore[arg-type]
