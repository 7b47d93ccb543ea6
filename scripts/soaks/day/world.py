"""The world of a day: an authority, five parties with workspaces of their own, and homes with meters in them.

Everything is made by the real acts and commands; nothing is copied from elsewhere.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from scripts.soaks.day.hands import Hands
from scripts.soaks.day.meters import install
from smki.authority.bundles import Installation, Signer, export
from smki.authority.founding import found
from smki.authority.workspace import SHIPPED, Person, Workspace, WorkspaceKind
from smki.device.bundle import open_bundle
from smki.device.state import DeviceKeys, DeviceState, new_state
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.meter_point import MeterPoint
from smki.parties.keys import octets_of, read_key, token_key_of
from smki.pki.path import PathCertificate, TrustAnchor
from tests.house import House, no_prompt

NORTH, SOUTH = EntityId.parse("90-B3-D5-1F-30-01-00-00"), EntityId.parse("90-B3-D5-1F-30-03-00-00")
WIRES = EntityId.parse("90-B3-D5-1F-30-02-00-00")
RECOVERY, BROKER, COS = (EntityId.parse(f"90-B3-D5-1F-30-00-00-0{n}") for n in (1, 2, 4))
WORKS = "Meter Works"
SUPPLIERS = {"north": NORTH, "south": SOUTH}
USERS = ("north", "south", "wires", "broker", "cos")
FIRST_METER = 0x00DB120000000000
_PRIMES = (3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43)
_SETUP = "setup"


def now() -> datetime:
    return datetime.now(UTC)


def meter(number: int) -> EntityId:
    return EntityId((FIRST_METER + number).to_bytes(8))


def point(number: int) -> MeterPoint:
    core = f"13{number:010d}"
    check = sum(prime * int(digit) for prime, digit in zip(_PRIMES, core, strict=True)) % 11 % 10
    return MeterPoint.parse(f"{core}{check}")


@dataclass(frozen=True)
class World:
    """Where everything lies."""

    folder: Path
    homes: int
    hands: Hands

    def at(self, name: str) -> Path:
        """A party's workspace, on the small disk."""
        return self.folder / "disk" / name

    @property
    def authority(self) -> Path:
        return self.at("authority")

    @property
    def desk(self) -> Path:
        """Where the files go from hand to hand."""
        return self.folder / "desk"

    @property
    def results(self) -> Path:
        """Where what they wrote goes, on the small disk."""
        return self.folder / "disk" / "results"

    @property
    def meters(self) -> Path:
        return self.folder / "meters" / "meters.db"

    @property
    def workspaces(self) -> tuple[str, ...]:
        return ("authority", *USERS)

    def certificate(self, label: str) -> Path:
        return self.folder / "certificates" / f"{label}.pem"


def make(folder: Path, homes: int, hands: Hands, store: Callable[[str], str | None]) -> World:
    """The whole world, on stores whose addresses `store` gives by name; none: the workspace's own SQLite."""
    world = World(folder, homes, hands)
    for name in ("desk", "certificates", "meters", "kept", "disk/results"):
        (folder / name).mkdir(parents=True)
    for name in world.workspaces:
        _found(world.at(name), "authority" if name == "authority" else "user", store(name))
    _policies(world)
    house = _opened(world.authority)
    house.enrol()
    house.stand_up()
    house.workspace.close()
    broker = _opened(world.at("broker"))
    broker.enrol()
    broker.officer_file("alice")
    broker.workspace.close()
    _enrol(world)
    _devices(world)
    _estate(world)
    _publish(world)
    return world


def _found(home: Path, kind: WorkspaceKind, url: str | None) -> None:
    if url is not None:
        home.mkdir(mode=0o700)
        name = "workspace.toml" if kind == "authority" else "workspace-user.toml"
        settings = (SHIPPED / "policies" / name).read_text(encoding="utf-8").replace("sqlite:smki.db", url)
        (home / "smki.toml").touch(mode=0o600)
        (home / "smki.toml").write_text(settings, encoding="utf-8")
    list(found(home, now, no_prompt, Person("soak"), kind))


def _opened(home: Path) -> House:
    return House(Workspace(home, now, no_prompt, Person("soak")))


def _policies(world: World) -> None:
    """No second officer in a laboratory; devices' certificates can be revoked; thousands of commands are usual."""
    _edit(world.authority, "issuance.toml", 'approve_roles = ["accessControlBroker"', 'approve_roles = [] # ["')
    revocation = (world.authority / "policies" / "revocation.toml").read_text()
    before, after = revocation.split("[kinds.device]")
    _write(
        world.authority,
        "revocation.toml",
        f"{before}[kinds.device]{after.replace('false', 'true', 1).replace('= 100', '= 1000', 1)}",
    )
    for supplier in SUPPLIERS:
        _edit(world.at(supplier), "signing.toml", "count = 100\n", "count = 10_000\n")
    _edit(world.authority, "ocsp.toml", "hierarchies = [", 'hierarchies = ["device", ')
    _edit(world.at("broker"), "anomaly.toml", "start = 100\n", "start = 1000000\n")
    _edit(world.at("broker"), "anomaly.toml", "start = 200\n", "start = 1000000\n")


def _edit(home: Path, name: str, old: str, new: str) -> None:
    text = (home / "policies" / name).read_text()
    assert old in text, f"{name} has {old!r}"
    _write(home, name, text.replace(old, new))


def _write(home: Path, name: str, text: str) -> None:
    (home / "policies" / name).write_text(text)


# Parties


def _enrol(world: World) -> None:
    """Organisations, their keys in their own tokens, their certificates; everybody believes the authorities."""
    smki, hands = world.authority, world.hands
    add = ("org", "add")
    for name, who, roles in (
        ("north", NORTH, ("supplier", "xmlSign")),
        ("south", SOUTH, ("supplier", "xmlSign")),
        ("wires", WIRES, ("networkOperator",)),
        ("broker", BROKER, ("accessControlBroker",)),
        ("cos", COS, ("transitionalCoS",)),
        ("recovery", RECOVERY, ("recovery",)),
    ):
        wanted = [word for role in roles for word in ("--role", role)]
        hands.must(_SETUP, smki, *add, name, *wanted, "--id", str(who), "--may", "organisation")
    hands.must(_SETUP, smki, *add, WORKS, "--id", "00-DB-12", "--may", "device", "--volume", "150000")
    for supplier, who in SUPPLIERS.items():
        _keys(world, supplier, who, (supplier, "supplier"))
        _keys(
            world,
            supplier,
            who,
            (f"{supplier}-topup", "supplier", "keyAgreement"),
            (f"{supplier}-xml", "xmlSign", "digitalSignature"),
        )
    _keys(world, "wires", WIRES, ("wires", "networkOperator"))
    _keys(world, "broker", BROKER, ("broker", "accessControlBroker"))
    _keys(world, "cos", COS, ("cos", "transitionalCoS"))
    _keys(world, "wires", RECOVERY, ("recovery", "recovery"), organisation="recovery")
    hands.must(_SETUP, smki, "ca", "export", "infra-root", out=world.certificate("infra-root"))
    for name in ("oca-root", "oca-issuing-1", "dca-root", "dca-issuing-1"):
        hands.must(_SETUP, smki, "ca", "export", name, out=world.certificate(name))
        for user in USERS:
            _believe(world.at(user) / "anchors" / f"{name}.pem", world.certificate(name).read_bytes())


def _believe(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o600)


def _keys(world: World, user: str, who: EntityId, *wanted: tuple[str, ...], organisation: str = "") -> None:
    """Keys of these labels, roles and usages in a user's token, and what the authority issues for them."""
    requests = world.desk / f"keys-{wanted[0][0]}"
    requests.mkdir()
    for label, role, *usage in wanted:
        out = world.desk / f"keys-of-{label}"
        only = [word for one in usage for word in ("--usage", one)]
        asked = ("org", "request", str(who), "--role", role, "--token", "keys", "--label", label, *only)
        world.hands.must(_SETUP, world.at(user), *asked, out=out)
        for csr in (out / "requests").iterdir():
            csr.rename(requests / csr.name)
    told = requests.with_suffix(".jsonl")
    world.hands.must(_SETUP, world.authority, "org", "issue", organisation or user, "--from", requests, out=told)
    for line in map(json.loads, told.read_text().splitlines()):
        one = x509.load_der_x509_certificate(base64.b64decode(line["certificate"]))
        world.certificate(Path(line["reference"]).stem).write_bytes(one.public_bytes(Encoding.PEM))


# Homes


def _devices(world: World) -> None:
    """Meters with certificates of the authority, each with its own bundle."""
    folder, hands = world.folder / "meters", world.hands
    made = ("device", "request", str(meter(0)), "--count", str(world.homes))
    hands.must(_SETUP, world.authority, *made, out=folder / "made")
    issue = ("device", "issue", "--org", WORKS, "--from", folder / "made" / "requests", "--workers", "2")
    hands.must(_SETUP, world.authority, *issue, out=world.desk / "meters.jsonl")
    signer = world.desk / "bundle-signer.csr"
    hands.must(
        _SETUP,
        world.authority,
        "officer",
        "request",
        "Bundle signer",
        "--token",
        "audit",
        "--label",
        "bundle",
        out=signer,
    )
    appoint = ("org", "appoint", WORKS, "--as", "ARO", "--csr", signer)
    hands.must(_SETUP, world.authority, *appoint, out=world.certificate("bundle"))
    hands.must(
        _SETUP, world.authority, "cert", "export", "--org", WORKS, out=world.folder / "certificates" / "meters"
    )
    workspace = _opened(world.authority).workspace
    certificate, key = token_key_of(workspace, "audit", "bundle", world.certificate("bundle"))
    anchor = TrustAnchor.of_certificate(PathCertificate.read(octets_of(world.certificate("infra-root"))))
    install(world.meters, (_meter(workspace, Signer(certificate, key), anchor, world, n) for n in range(world.homes)))
    workspace.close()


def first_supplier(number: int) -> str:
    """Who has a home in the morning."""
    return ("north", "south")[number % 2]


def _meter(
    workspace: Workspace, signer: Signer, anchor: TrustAnchor, world: World, number: int
) -> tuple[DeviceState, DeviceKeys]:
    entity = meter(number)
    supplier = first_supplier(number)
    parties = {RemotePartyRole.SUPPLIER: SUPPLIERS[supplier]}
    top_up = x509.load_pem_x509_certificate(world.certificate(f"{supplier}-topup-ka").read_bytes())
    bundle = export(
        workspace, Installation(entity, DeviceType.ESME, parties, {}, 0, f"{top_up.serial_number:032X}"), signer
    )
    folder = world.folder / "meters" / "made" / "keys"
    keys = DeviceKeys(read_key(folder / f"{entity}-ds.key"), read_key(folder / f"{entity}-ka.key"))
    return new_state(open_bundle(bundle.octets, [anchor], now()), keys), keys


def _estate(world: World) -> None:
    """Who is registered where, and which devices there are, for those who have to know."""
    since = "2026-01-01T00:00:00Z"
    registered = ["meter_point,supplier,network_operator,since"]
    devices = ["device,type,status,meter_point"]
    for number in range(world.homes):
        registered.append(f"{point(number)},{SUPPLIERS[first_supplier(number)]},{WIRES},{since}")
        devices.append(f"{meter(number)},ESME,commissioned,{point(number)}")
    for name, lines in (("registration", registered), ("inventory", devices)):
        path = world.desk / f"{name}.csv"
        path.write_text("\n".join(lines) + "\n")
        for user in ("broker", "cos"):
            world.hands.must(_SETUP, world.at(user), name, "import", path)


def _publish(world: World) -> None:
    world.hands.must(_SETUP, world.authority, "crl", "publish")
    for name in ("dca-issuing-1", "oca-issuing-1"):
        world.hands.must(_SETUP, world.authority, "ocsp", "appoint", name, "--token", "ocsp")
