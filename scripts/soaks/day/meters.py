"""Every meter of the day, in one file of its own: what each remembers, what it obeyed, what it refused, what it said.

A delivery is one transaction a command: whoever kills it in the middle finds a meter that has either obeyed or not.
"""

import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from smki.authority.safe_files import write_new
from smki.device.receive import receive
from smki.device.state import DeviceKeys, DeviceState, read_state, write_state
from smki.errors import Unavailable
from smki.gbcs.message import Message, read_message

_TABLES = """
CREATE TABLE meter (entity BLOB PRIMARY KEY, state BLOB NOT NULL);
CREATE TABLE heard (
    number INTEGER PRIMARY KEY,
    command BLOB NOT NULL, whole BLOB NOT NULL, entity BLOB NOT NULL, verdict TEXT NOT NULL
);
CREATE TABLE answer (command BLOB PRIMARY KEY, octets BLOB NOT NULL);
"""


def opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=30)


def install(path: Path, meters: Iterable[tuple[DeviceState, DeviceKeys]]) -> None:
    with closing(opened(path)) as kept:
        path.chmod(0o600)
        kept.execute("PRAGMA journal_mode = WAL")
        kept.executescript(_TABLES)
        kept.execute("BEGIN")
        rows = ((state.device.octets, write_state(state, keys)) for state, keys in meters)
        kept.executemany("INSERT INTO meter VALUES (?, ?)", rows)
        kept.execute("COMMIT")


def digest(message: Message) -> bytes:
    """What stands for a command whoever protects it how often: of what its user signed."""
    return hashlib.sha256(message.signed_octets).digest()


def deliver(meters: Path, commands: Path, answers: Path) -> None:
    """Give each command to its meter; write what they answer, a line of hexadecimal digits each.

    A command that was obeyed before is refused, and its answer is said again: it may be what was lost.
    """
    with closing(opened(meters)) as kept:
        said = [one for octets in _commands(commands) for one in _hear(kept, octets)]
    try:
        write_new(answers, b"".join(octets.hex().encode() + b"\n" for octets in said))
    except Unavailable as error:
        sys.exit(error.exit_status)


def _commands(path: Path) -> Iterator[bytes]:
    for line in path.read_bytes().splitlines():
        told = json.loads(line)
        if told["result"] in {"admitted", "admitted before"}:
            yield bytes.fromhex(told["message"])


def _hear(kept: sqlite3.Connection, octets: bytes) -> list[bytes]:
    message = read_message(octets)
    command, entity = digest(message), message.header.target.octets
    kept.execute("BEGIN IMMEDIATE")
    row = kept.execute("SELECT state FROM meter WHERE entity = ?", (entity,)).fetchone()
    found = receive(*read_state(row[0]), octets, datetime.now(UTC))
    verdict = (command, hashlib.sha256(octets).digest(), entity, found.verdict.code)
    kept.execute("INSERT INTO heard (command, whole, entity, verdict) VALUES (?, ?, ?, ?)", verdict)
    kept.execute("UPDATE meter SET state = ? WHERE entity = ?", (write_state(found.state, found.keys), entity))
    if found.verdict.accepted and found.answer is not None:
        kept.execute("INSERT OR REPLACE INTO answer VALUES (?, ?)", (command, found.answer))
    before = kept.execute("SELECT octets FROM answer WHERE command = ?", (command,)).fetchone()
    kept.execute("COMMIT")
    return [] if before is None else [before[0]]


if __name__ == "__main__":
    deliver(*map(Path, sys.argv[1:4]))
