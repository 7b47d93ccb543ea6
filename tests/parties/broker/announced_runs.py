"""Brokers that are handed announcements, as processes of their own."""

import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from smki.entity import RemotePartyRole
from smki.parties.announcement import Announcement
from smki.parties.intake import Given
from smki.pki.public_key import spki_of
from tests.house import NOW, opened
from tests.parties.broker import processes
from tests.parties.broker.announcers import hash_of, own_thresholds, put, signed_by
from tests.parties.broker.deciders import officer_of, organisation, put_roll
from tests.parties.broker.processes import OWN

KEY = ec.derive_private_key(77, ec.SECP256R1())


def prepare(home: Path, files: Path, store_url: str | None, commands: int, announced: int, each: int) -> list[Path]:
    """A broker that knows a supplier's announcing key, and announcements of the first of its commands."""
    processes.prepare(home, files, store_url, commands, habit=True)
    house = opened(home)
    put_roll(house.workspace)
    ann = officer_of(house.workspace, organisation(house.workspace, RemotePartyRole.SUPPLIER, OWN))
    put(house.workspace, own_thresholds(OWN, 1, spki_of(KEY.public_key())), ann)
    house.workspace.close()
    sent = [hash_of(Given("", bytes.fromhex(line["message"]))) for line in processes.read(files / "commands.jsonl")]
    made = []
    for number, start in enumerate(range(0, announced, each), 1):
        said = Announcement(OWN, number, number - 1, NOW, tuple(sent[start : min(start + each, announced)]))
        made.append(files / f"announced-{number}")
        made[-1].write_bytes(signed_by(KEY, said))
    return made


def many(number: int, digests: int) -> bytes:
    """One of so many commands."""
    said = Announcement(
        OWN, number, number - 1, NOW, tuple((number << 32 | one).to_bytes(32) for one in range(digests))
    )
    return signed_by(KEY, said)


def take(home: Path, *files: Path) -> None:
    """The command as an operator types it, at the time of these tests."""
    from smki.cli.main import run
    from smki.cli.session import Session

    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(run(["--home", str(home), "broker", "announced", *map(str, files)], Session(clock=lambda: NOW)))
