"""Runs of announcing that a test kills, or lets run at the same time."""

import os
import sys
from datetime import timedelta
from pathlib import Path

from smki.parties import announcing
from smki.store.announcement_records import SignedRecord
from smki.store.records import Act
from tests.house import NOW, founded
from tests.parties.people import SUPPLIER

CHUNK = 40  # so that there are several files to die between
COUNT = 600


def digest(number: int) -> bytes:
    return number.to_bytes(32)


def prepare(home: Path, store_url: str | None) -> None:
    """A workspace whose record has so many signatures: here only that they are on record counts."""
    with (
        founded(home, store_url=store_url, kind="user") as house,
        house.workspace.store.act(Act("test", "x", NOW)) as tx,
    ):
        at = NOW - timedelta(minutes=1)
        tx.put_unannounced(SignedRecord(b"", b"", digest(n), SUPPLIER, at) for n in range(COUNT))


def announce(home: Path, out: Path) -> None:
    """The command as its user types it, at the time of these tests."""
    from smki.cli.main import run
    from smki.cli.session import Session

    vars(announcing)["CHUNK"] = CHUNK
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(run(["--home", str(home), "message", "announce", "--out", str(out)], Session(clock=lambda: NOW)))
