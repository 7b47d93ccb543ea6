"""The whole service in this process: its loop, its two threads, and its end."""

import asyncio
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import ocsp

from smki.authority.ocsp.once import answer_once
from smki.authority.ocsp.serving import serve
from smki.authority.workspace import Person, Workspace
from smki.errors import SmkiError
from tests.authority.ocsp.served import Served, make, message, now, read_answer
from tests.house import House, copy_of, no_prompt
from tests.once import once


class Inside(Served):
    """The client's side; the service is in this process."""

    def __init__(self, home: Path, folder: Path) -> None:
        super().__init__(home, None, folder / "journal", 0)  # type: ignore[arg-type]  # there is no process
        self.numbers = json.loads((home / "ocsp-world.json").read_text())


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    found = Inside(copy_of(once("ocsp", make), tmp_path / "authority"), tmp_path)
    found.file("good")
    found.file("oca-issuing-1")
    interval = sys.getswitchinterval()
    yield found
    sys.setswitchinterval(interval)


def run(inside: Inside, client: Callable[[], None], *, access: bool = False) -> list[tuple[str, dict[str, Any]]]:
    """Serve until the client, in a thread, has said and heard all."""
    told: list[tuple[str, dict[str, Any]]] = []
    faults: list[BaseException] = []

    def opened() -> Workspace:
        return Workspace(inside.home, now, no_prompt, Person("tester"))

    def speak() -> None:
        try:
            client()
        except BaseException as fault:  # noqa: BLE001 - raised again in the test's own thread
            faults.append(fault)
        os.kill(os.getpid(), signal.SIGTERM)

    def tell(event: str, **facts: Any) -> None:
        told.append((event, facts))
        if event == "ocsp.serving":
            inside.port = facts["port"]
            threading.Thread(target=speak).start()

    asyncio.run(serve(opened, "127.0.0.1", 0, tell, access=access))
    for fault in faults:
        raise fault
    return told


def test_it_serves_until_told_to_stop(inside: Inside) -> None:
    plain, own = message(inside.request("good")), message(inside.request("good", nonce=b"n"))

    def client() -> None:
        with socket.create_connection(("127.0.0.1", inside.port), timeout=20) as connection:
            for octets in (plain, own, plain):
                connection.sendall(octets)
                assert read_answer(connection).response.certificate_status is ocsp.OCSPCertStatus.GOOD
            connection.sendall(b"nonsense\r\n\r\n")
            assert read_answer(connection).status == 400
            assert connection.recv(10) == b"", "and hangs up"
        with socket.create_connection(("127.0.0.1", inside.port), timeout=20) as slow:
            slow.sendall(plain[:20])
            assert slow.recv(10) == b"", "cut off in time"
        with socket.create_connection(("127.0.0.1", inside.port), timeout=20) as half:
            half.sendall(own)
            half.shutdown(socket.SHUT_WR)
            assert read_answer(half).status == 200
        assert inside.ask(b"garbage").response.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST

    told = run(inside, client, access=True)
    assert [event for event, _ in told[:2]] == ["ocsp.responder"] * 2
    assert told[-1][0] == "ocsp.stopped"
    asked = [facts["answer"] for event, facts in told if event == "ocsp.request"]
    assert asked == ["signed"] * 4 + ["malformed"]


def test_without_an_access_log_requests_are_not_told(inside: Inside) -> None:
    told = run(inside, lambda: None if inside.ask(inside.request("good")).status == 200 else pytest.fail("no answer"))
    assert "ocsp.request" not in {event for event, _ in told}


def test_an_address_in_use_is_told_and_nothing_stays_behind(inside: Inside) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        def opened() -> Workspace:
            return Workspace(inside.home, now, no_prompt, Person("tester"))

        with pytest.raises(SmkiError) as refusal:
            asyncio.run(serve(opened, "127.0.0.1", port, lambda *_, **__: None))
    assert refusal.value.code == "ocsp.listen"
    assert {thread.name for thread in threading.enumerate()} & {"desk", "watch"} == set()


def test_more_connections_than_open_files_are_refused(inside: Inside) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    policy = inside.home / "policies" / "ocsp.toml"
    if hard == resource.RLIM_INFINITY or hard > 100_000:
        pytest.skip("this machine allows more open files than any policy asks for")
    policy.write_text(policy.read_text().replace("connections = 220", "connections = 100_000"))
    with pytest.raises(SmkiError) as refusal:
        run(inside, lambda: None)
    assert refusal.value.code == "ocsp.files"


def test_one_answer_is_made_without_a_service(answering: House, tmp_path: Path) -> None:
    answering.workspace.clock = now
    request = tmp_path / "request"
    request.write_bytes(b"no request")
    assert answer_once(answering.workspace, request).words == "malformed"
    served = Inside(answering.home, tmp_path)
    answering.workspace.close()
    request.write_bytes(served.request("good"))
    done = answer_once(answering.workspace, request)
    assert (done.signed, done.words[:6]) == (True, "signed")
    assert ocsp.load_der_ocsp_response(done.octets).certificate_status is ocsp.OCSPCertStatus.GOOD
