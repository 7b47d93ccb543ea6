"""A run of changes that a test kills, and what is found after it."""

import json
from pathlib import Path
from typing import Any

from smki.authority.auditing import verify_log
from smki.parties.cos.commands import Done
from smki.parties.cos.desk import CosDesk
from smki.parties.cos.judgement import judge_request
from smki.parties.keys import read_certified
from tests.house import House, founded, opened
from tests.parties.cos.world import Party, der, home, south

COUNT = 600


def prepare(home_folder: Path, files: Path, store_url: str | None) -> None:
    """A party, its homes, and a request for all of them."""
    with founded(home_folder, store_url=store_url, kind="user") as house:
        party = Party(house)
        party.settle(range(COUNT))
        (files / "cos.der").write_bytes(der(party.certificate))
        (files / "request.p7m").write_bytes(south.request(*(home(number) for number in range(COUNT))))


def _run(house: House, files: Path) -> list[Done]:
    desk = CosDesk(house.workspace, "keys", "cos", read_certified(files / "cos.der"))
    file = (files / "request.p7m").read_bytes()
    _, done = desk.run(judge_request(house.workspace, file), file)
    return list(done)


def run_again(home_folder: Path, files: Path) -> None:
    from smki.parties.cos import desk

    vars(desk)["PIECE"] = 120  # so that there are several to die between
    house = opened(home_folder)
    _run(house, files)
    house.workspace.close()


def finish(home_folder: Path, files: Path) -> tuple[list[Done], list[dict[str, Any]]]:
    """The last run, and every intent in the log, once the log is found whole."""
    house = opened(home_folder)
    done = _run(house, files)
    bodies = [json.loads(entry.body) for entry in house.workspace.store.audit_entries()]
    assert not verify_log(house.workspace.store).faults
    house.workspace.close()
    return done, [body for body in bodies if body["act"] == "message.signing"]
