"""What the audit reads: logs and tables of every workspace, files of every desk."""

import json
import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509

from smki.errors import InvalidInput
from smki.gbcs.message import Message, read_message

USERS = ("north", "south", "wires", "broker", "cos")


@dataclass
class Checked:
    """One thing that was recomputed: how often, and every difference in words."""

    name: str
    count: int = 0
    wrong: list[str] = field(default_factory=list)

    def same(self, mine: object, theirs: object, words: str) -> None:
        self.count += 1
        if mine != theirs:
            self.wrong.append(words)

    def holds(self, good: object, words: str) -> None:
        self.same(bool(good), True, words)


@dataclass(frozen=True)
class Scene:
    """One folder, and all that is in it."""

    folder: Path
    _logs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def workspaces(self) -> tuple[str, ...]:
        return ("authority", *USERS)

    def at(self, name: str) -> Path:
        return self.folder / "disk" / name

    @property
    def published(self) -> Path:
        return self.at("authority") / "published"

    def rows(self, workspace: str, sql: str) -> list[tuple[Any, ...]]:
        url = tomllib.loads((self.at(workspace) / "smki.toml").read_text())["store"]["url"]
        if url.startswith("sqlite:"):
            path = self.at(workspace) / url.removeprefix("sqlite:")
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                return connection.execute(sql).fetchall()
        import psycopg

        with psycopg.connect(url) as connection:
            return [tuple(row) for row in connection.execute(sql)]

    def entries(self, workspace: str) -> list[dict[str, Any]]:
        """The log of a workspace, in its order."""
        if workspace not in self._logs:
            found = self.rows(workspace, "SELECT body FROM audit_entry ORDER BY seq")
            self._logs[workspace] = [json.loads(body) for (body,) in found]
        return self._logs[workspace]

    def facts(self, workspace: str, act: str) -> Iterator[dict[str, Any]]:
        return (entry["facts"] for entry in self.entries(workspace) if entry["act"] == act)

    def files(self, pattern: str) -> list[Path]:
        return sorted((self.at("results")).glob(pattern))

    def lines(self, pattern: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        for path in self.files(pattern):
            for line in path.read_bytes().splitlines():
                yield path, json.loads(line)

    def certificate(self, label: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.folder / "certificates" / f"{label}.pem").read_bytes())

    def meters(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.folder / 'meters' / 'meters.db'}?mode=ro", uri=True)) as connection:
            return connection.execute(sql).fetchall()

    @cached_property
    def answered(self) -> dict[str, str]:
        """What the responder said last of each serial number it was asked about."""
        path = self.folder / "ocsp.json"
        found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return found


def message_of(line: dict[str, Any]) -> Message | None:
    """The message in a result line, if there is one."""
    text = line.get("message")
    try:
        return None if text is None else read_message(bytes.fromhex(text))
    except InvalidInput:
        return None
