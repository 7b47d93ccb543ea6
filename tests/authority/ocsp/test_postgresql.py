"""The responder on a shared store: the same answers, a revocation as soon, a server that goes and comes back."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.x509 import ocsp

from smki.authority.ocsp.appointing import appoint
from tests.authority.desk import Desk
from tests.authority.ocsp.served import OCA, now, start
from tests.authority.revocation.world import World
from tests.house import founded
from tests.postgres import running

pytestmark = [pytest.mark.postgresql, pytest.mark.slow(8)]


def until(true: Callable[[], bool], seconds: float = 20) -> float:
    begin = time.monotonic()
    while not true():
        assert time.monotonic() < begin + seconds
        time.sleep(0.02)
    return time.monotonic() - begin


def test_a_shared_store_is_asked_and_waited_for(tmp_path: Path) -> None:
    home = tmp_path / "authority"
    with running() as server:
        with founded(home, now, server.fresh()) as house:
            house.enrol()
            for number in "12":
                house.hold(house.shipped(number))
            good = World(Desk(house)).enrol().organisation()
            appoint(house.workspace, OCA, "ocsp", anew=False)
        (home / "ocsp-world.json").write_text(json.dumps({"good": str(good.serial)}))
        served = start(home, tmp_path)
        assert served.port, served.log.read_text()
        plain, own = served.request("good"), served.request("good", nonce=b"n")
        for octets in (plain, own):
            assert served.ask(octets).response.certificate_status is ocsp.OCSPCertStatus.GOOD
        server.stop()
        # Within the second that a look at the register is good for, nobody is told what may no longer be so.
        until(lambda: served.ask(plain).is_try_later and served.ask(own).is_try_later)
        server.start()
        until(lambda: not served.ask(own).is_try_later)
        assert served.ask(plain).response.certificate_status is ocsp.OCSPCertStatus.GOOD
        committed = served.revoke("good")
        until(lambda: served.ask(plain).response.certificate_status is ocsp.OCSPCertStatus.REVOKED)
        assert time.monotonic() < committed + 2
        assert served.stop() == 0
        told = [event["event"] for event in served.events()]
        assert {"ocsp.trouble", "ocsp.recovered"} <= set(told)
        assert "ocsp.defect" not in told
