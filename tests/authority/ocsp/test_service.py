"""The service as an operator lives with it: a token that goes and comes back, stopping, and refusing to begin."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509 import ocsp

from smki.authority.ocsp.appointing import appoint
from tests.authority.ocsp.served import OCA, Served, make, now, start
from tests.house import copy_of, opened
from tests.once import once


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def token_folder(home: Path) -> Path:
    house = opened(home, now)
    found = house.workspace.hsm.find(house.workspace.token_ref("ocsp"))
    house.workspace.close()
    assert found is not None
    assert found.folder is not None
    return found.folder


def test_while_the_token_is_away_kept_answers_go_on_and_others_come_later(served: Served) -> None:
    kept, own = served.request("good"), served.request("good", nonce=b"n")
    for octets in (kept, own):
        assert served.ask(octets).response.certificate_status is ocsp.OCSPCertStatus.GOOD
    folder = token_folder(served.home)
    away = folder.rename(served.home / "away")
    until(lambda: served.ask(own).is_try_later)
    assert served.ask(kept).response.certificate_status is ocsp.OCSPCertStatus.GOOD
    away.rename(folder)
    until(lambda: not served.ask(own).is_try_later)
    assert served.ask(own).response.certificate_status is ocsp.OCSPCertStatus.GOOD
    told = [event["event"] for event in served.events()]
    assert told.count("ocsp.trouble") < 5, "it is told once, not for every request"
    assert told.index("ocsp.trouble") < told.index("ocsp.recovered")


def test_a_responder_appointed_while_serving_takes_over(served: Served) -> None:
    with served.world() as world:
        serial = appoint(world.workspace, OCA, "ocsp", anew=True).responder.record.serial.number

    def answered_by() -> list[int]:
        return [item.serial_number for item in served.ask(served.request("good")).response.certificates]

    until(lambda: answered_by() == [serial])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_and_answers_who_waits(tmp_path: Path, number: signal.Signals) -> None:
    found = start(copy_of(once("ocsp", make), tmp_path / "authority"), tmp_path)
    found.process.send_signal(number)
    assert found.process.wait(20) == 0
    assert found.events()[-1]["event"] == "ocsp.stopped"


def test_it_does_not_begin_with_nobody_to_answer(tmp_path: Path) -> None:
    home = copy_of(once("ocsp", make), tmp_path / "authority")
    policy = home / "policies" / "ocsp.toml"
    policy.write_text(policy.read_text().replace("days = 30 ", "days = 1 ").replace("renew = 10 ", "renew = 0 "))
    house = opened(home, lambda: now() - timedelta(days=2))
    with house.workspace.store._engine.transaction():
        house.workspace.store._engine.execute("DELETE FROM responder")
    appoint(house.workspace, OCA, "ocsp", anew=False)
    house.workspace.close()
    found = start(home, tmp_path)
    assert found.process.wait(20) == 3
    assert "ocsp.no-responder" in found.log.read_text()


def smki(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "smki", "--home", str(home), "ocsp", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ})


@pytest.mark.parametrize(
    ("listen", "code"),
    [
        ("127.0.0.1:1:x", 2),
        ("nowhere", 2),
        ("127.0.0.1:\u00b2", 2),
        ("127.0.0.1:" + "9" * 5000, 2),
        ("127.0.0.1:99999", 4),
        ("a" * 70 + ":2560", 4),
        ("192.0.2.1:2560", 4),
    ],
)
def test_where_it_cannot_listen_is_told(served: Served, listen: str, code: int) -> None:
    done = smki(served.home, "serve", "--listen", listen)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_one_answer_from_a_file(served: Served, tmp_path: Path) -> None:
    request, out = tmp_path / "request", tmp_path / "answer"
    request.write_bytes(served.request("revoked", nonce=b"n"))
    done = smki(served.home, "answer", str(request), "--out", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    assert ocsp.load_der_ocsp_response(out.read_bytes()).certificate_status is ocsp.OCSPCertStatus.REVOKED
    request.write_bytes(b"nothing")
    done = smki(served.home, "answer", str(request), "--out", str(tmp_path / "second"))
    assert (done.returncode, done.stdout) == (1, f"wrote {tmp_path / 'second'}: malformed\n")
    request.write_bytes(bytes(5000))
    assert smki(served.home, "answer", str(request), "--out", str(tmp_path / "third")).returncode == 2


def test_responders_are_shown(served: Served) -> None:
    import json

    found = json.loads(smki(served.home, "show", "--json").stdout)["responders"]
    assert {one["authority"] for one in found} == {OCA, "infra-issuing-1"}
    assert {one["state"] for one in found} == {"answers"}
    again = smki(served.home, "appoint", OCA, "--token", "ocsp")
    assert "is appointed already" in again.stdout
