"""Brokers that are processes of their own, for tests that kill them or let them run at the same time."""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.entity import EntityId, RemotePartyRole
from smki.parties.broker import admission
from smki.store.admission_records import TallyRow
from smki.store.records import Act
from tests.house import NOW, House, founded
from tests.parties.broker.world import User, World
from tests.parties.people import certificate

CHUNK = 64  # so that there are several to die between
METERS = 32
_HOUR = 3600
OWN = EntityId.parse("90-B3-D5-1F-40-00-00-01")


def prepare(home: Path, files: Path, store_url: str | None, commands: int, *, habit: bool) -> None:
    """A broker, a supplier with some meters, and its commands; with a past, or new here."""
    with founded(home, lambda: NOW, store_url, kind="user") as house:
        world = World(house, [NOW])
        supplier = _supplier(world)
        meters = world.devices(METERS, supplier)
        pem = b"".join(one.certificate.public_bytes(Encoding.PEM) for one in world.others)
        (files / "others.pem").write_bytes(pem)
        (files / "broker.der").write_bytes(world.broker.certificate.public_bytes(Encoding.DER))
        lines = (supplier.arming(1 + number, meters[number % METERS]) for number in range(commands))
        write(files / "commands.jsonl", ({"reference": one.reference, "message": one.octets.hex()} for one in lines))
        if habit:
            _give_habit(house, supplier)


def _supplier(world: World) -> User:
    key = ec.generate_private_key(ec.SECP256R1())
    one = certificate(key.public_key(), OWN, RemotePartyRole.SUPPLIER)
    world.others.append(one)
    return User(OWN, RemotePartyRole.SUPPLIER, key, one)


def _give_habit(house: House, supplier: User) -> None:
    """Ten weeks in which so much was nothing unusual."""
    hour = int(NOW.timestamp()) // _HOUR * _HOUR
    with house.workspace.store.act(Act("test", "tester", NOW)) as tx:
        tx.add_tallies(
            TallyRow(2, hour - _HOUR * back, supplier.entity.octets, 2, 0x0051, 19, 5000, 0, 0)
            for back in range(24, 24 * 72)
        )


def write(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def submit(home: Path, files: Path, source: Path, out: Path, *more: Path) -> None:
    """The command as an operator types it, at the time of these tests; arguments come as paths."""
    from smki.cli.main import run
    from smki.cli.session import Session

    vars(admission)["CHUNK"] = CHUNK
    typed = ["--home", str(home), "broker", "submit", "--out", str(files / out), *map(str, more)]
    typed += ["--from", str(files / source)] if source.name else []
    typed += ["--certificate", str(files / "broker.der"), "--certificates", str(files / "others.pem")]
    typed += ["--token", "keys", "--key", "broker", "--keep-secrets", str(METERS)]
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # what it says of its commands is in the file
    sys.exit(run(typed, Session(clock=lambda: NOW)))


def hand_out(home: Path, files: Path, out: Path) -> None:
    """What officers released, as an operator has it given out."""
    from smki.cli.main import run
    from smki.cli.session import Session
    from smki.parties.broker import desk

    vars(admission)["CHUNK"] = vars(desk)["CHUNK"] = CHUNK
    typed = ["--home", str(home), "broker", "quarantine", "hand-out", "--out", str(files / out)]
    typed += ["--certificate", str(files / "broker.der"), "--certificates", str(files / "others.pem")]
    typed += ["--token", "keys", "--key", "broker"]
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.exit(run(typed, Session(clock=lambda: NOW)))
