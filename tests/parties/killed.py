"""A run of signing that a test kills, and what is found after it."""

import json
from pathlib import Path
from typing import Any

from smki.authority.auditing import verify_log
from smki.parties.keys import Certified, read_certified
from smki.parties.outcome import Outcome
from smki.parties.signing_rules import Shown
from smki.parties.supplier import SigningDesk
from tests.house import House, founded, opened
from tests.parties.people import User, arming, given

COUNT = 2000


def prepare(home: Path, certificate: Path, store_url: str | None) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    with founded(home, store_url=store_url, kind="user") as house:
        certificate.write_bytes(User(house).certificate.certificate.public_bytes(Encoding.DER))


def _sign(house: House, certificate: Certified) -> list[Outcome]:
    desk = SigningDesk(house.workspace, "keys", "ds", certificate)
    judged = desk.judge((given(arming(number)) for number in range(1, COUNT + 1)), None)
    return list(desk.sign(judged, Shown.SEEN))


def run_to_json(home: Path, certificate: Path, count: int) -> str:
    """What one process of several is handed."""
    house = opened(home)
    desk = SigningDesk(house.workspace, "keys", "ds", read_certified(certificate))
    judged = desk.judge((given(arming(number)) for number in range(1, count + 1)), None)
    found = {item.reference: item.message.hex() for item in desk.sign(judged, Shown.SEEN)}
    house.workspace.close()
    return json.dumps(found)


def sign_again(home: Path, certificate: Path) -> None:
    from smki.parties import supplier

    vars(supplier)["CHUNK"] = 100  # so that there are many to die between
    house = opened(home)
    _sign(house, read_certified(certificate))
    house.workspace.close()


def finish(home: Path, certificate: Path) -> tuple[list[Outcome], list[dict[str, Any]]]:
    """The last run, and every intent in the log, once the log is found whole."""
    house = opened(home)
    outcomes = _sign(house, read_certified(certificate))
    bodies = [json.loads(entry.body) for entry in house.workspace.store.audit_entries()]
    assert not verify_log(house.workspace.store).faults
    house.workspace.close()
    return outcomes, [body for body in bodies if body["act"] == "message.signing"]
