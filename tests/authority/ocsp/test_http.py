"""The responder's HTTP: what caches are told, what is refused, and who wears whom out."""

import concurrent.futures
import contextlib
import os
import socket
import time
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from smki.authority.ocsp.http import BadHttp, HttpReader, HttpRequest
from smki.pki.ocsp import cert_id, issuer_ids, plain_request
from tests.authority.ocsp.served import INFRASTRUCTURE, OCA, Served, message, read_answer
from tests.pki.hierarchy import make

POST = message(b"octets")
_MADE = make("root-oca", None)
_ISSUER, _ = issuer_ids(_MADE.name, _MADE.key.public_key())


# A reader alone


@given(st.lists(st.integers(1, 40), max_size=20))
def test_pieces_do_not_matter(lengths: list[int]) -> None:
    reader, data, found = HttpReader(4096), 2 * POST, []
    for length in [*lengths, len(data)]:
        reader.feed(data[:length])
        data = data[length:]
        while (request := reader.take()) is not None:
            found.append(request)
    assert found == [HttpRequest(b"octets", keep_alive=True)] * 2
    assert reader.is_empty


@given(st.one_of(st.binary(max_size=200), st.builds(lambda a, b: POST[:a] + b, st.integers(0, 90), st.binary())))
def test_random_octets_are_read_or_refused(octets: bytes) -> None:
    reader = HttpReader(4096)
    reader.feed(octets + b"\r\n\r\n")
    with contextlib.suppress(BadHttp):
        reader.take()


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/2\r\nHost: a\r\n\r\n", 505),
        (POST.replace(b"Host:", b"Host :"), 400),
        (POST.replace(b"Host: localhost", b"Host: a\r\n b"), 400),
        (POST.replace(b"Host:", b"Host: a\r\nHost:"), 400),
        (POST.replace(b"Content-Length: 6", b"Content-Length: 6\r\nContent-Length: 7"), 400),
        (POST.replace(b"Content-Length: 6", b"Content-Length: +6"), 400),
        (POST.replace(b"Content-Length: 6", b"Content-Length: 5000"), 413),
        (POST.replace(b"Content-Length: 6", b"Content-Length: " + b"9" * 5000), 413),
        (POST.replace(b"Content-Length: 6", b"Transfer-Encoding: chunked"), 501),
        (POST.replace(b"Host:", b"Expect: 100-continue\r\nHost:"), 417),
        (POST.replace(b"POST / ", b"POST /elsewhere "), 404),
        (POST.replace(b"POST", b"PUT"), 405),
        (POST.replace(b"POST", b"GET"), 400),
        (POST.replace(b"ocsp-request", b"json"), 415),
        (b"GET /" + b"A" * 8000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 413),
        (b"GET /" + b"A" * 9000, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100 + b"\r\n", 431),
    ],
)
def test_what_is_no_http_of_ours_has_its_status(octets: bytes, status: int) -> None:
    reader = HttpReader(4096 if b"A" * 8000 not in octets else 2048)
    reader.feed(octets)
    with pytest.raises(BadHttp) as refusal:
        reader.take()
    assert refusal.value.status == status


def test_an_absolute_target_and_an_older_version_are_read() -> None:
    reader = HttpReader(4096)
    reader.feed(POST.replace(b"POST / ", b"POST http://proxy.example/ ").replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert reader.take() == HttpRequest(b"octets", keep_alive=False)


# A running responder


def test_a_kept_answer_says_how_long_it_may_be_kept(served: Served) -> None:
    octets = served.request("good", algorithm=hashes.SHA1())  # noqa: S303
    found = served.ask(octets, get=True)
    assert (found.status, found.headers["content-type"]) == (200, "application/ocsp-response")
    response = found.response
    assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    made, end, date = (parsedate_to_datetime(found.headers[one]) for one in ("last-modified", "expires", "date"))
    assert (made, end) == (response.this_update_utc, response.next_update_utc)
    assert end - made == timedelta(hours=12)
    assert made <= date < end
    assert found.headers["cache-control"] == "max-age=300, public, no-transform, must-revalidate"
    again = served.ask(octets, get=True, more=f"If-None-Match: {found.headers['etag']}\r\n")
    assert (again.status, again.body) == (304, b"")
    assert served.ask(octets).body == found.body, "GET and POST get the same answer"


def test_an_answer_for_one_asker_is_nobody_elses(served: Served) -> None:
    octets = served.request("good", nonce=b"n" * 32)
    first, second = served.ask(octets, get=True), served.ask(octets, get=True)
    for found in (first, second):
        assert found.headers["cache-control"] == "no-store"
        nonce = found.response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
        assert nonce == b"n" * 32
    assert first.response.signature != second.response.signature


def test_what_was_signed_ahead_is_there_before_it_is_asked_for(served: Served) -> None:
    """The officer's answer was made when the responder started, though nobody asked."""
    serving = next(event for event in served.events() if event["event"] == "ocsp.serving")
    time.sleep(1.1)
    made = served.ask(served.request("officer", INFRASTRUCTURE)).response.produced_at_utc
    assert made.timestamp() < time.time() - 1, serving


@pytest.mark.parametrize("get", [False, True])
@pytest.mark.parametrize("octets", [b"", b"garbage", os.urandom(300), plain_request(b"\x30\x00")])
def test_what_is_malformed_is_said_so(served: Served, octets: bytes, get: bool) -> None:
    found = served.ask(octets, get=get)
    assert (found.status, found.headers["cache-control"]) == (200, "no-store")
    assert found.response.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_too_many_or_too_much_is_refused(served: Served) -> None:
    one = plain_request(cert_id(_ISSUER, 5))
    from smki.pki.der import SEQUENCE, tlv

    many = tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, 17 * tlv(SEQUENCE, cert_id(_ISSUER, 5)))))
    assert served.ask(one).response.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED
    assert served.ask(many).response.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    assert served.ask(bytes(5000)).status == 413


def test_another_method_is_told_which_there_are(served: Served) -> None:
    for method in (b"HEAD", b"OPTIONS"):
        found = served.say(message(served.request("good")).replace(b"POST", method))
        assert (found.status, found.headers["allow"], found.body) == (405, "GET, POST", b"")


def test_many_requests_share_a_connection(served: Served) -> None:
    plain, own = message(served.request("good")), message(served.request("good", nonce=b"x"))
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        for octets in (plain, own, plain, own):
            connection.sendall(octets)
            assert read_answer(connection).response.certificate_status is ocsp.OCSPCertStatus.GOOD
        connection.sendall(3 * plain + own[:-1])
        got = b""
        while got.count(b"HTTP/1.1 200") < 3:
            got += connection.recv(65_536)
        connection.sendall(own[-1:])
        connection.shutdown(socket.SHUT_WR)
        while more := connection.recv(65_536):
            got += more
        assert got.count(b"HTTP/1.1 200") == 4


def test_two_hundred_clients_at_once_are_answered(served: Served) -> None:
    requests = [served.request("good", nonce=number.to_bytes(2)) for number in range(200)]

    def client(octets: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
            barrier.result(20)
            connection.sendall(message(octets))
            return read_answer(connection).response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce

    barrier: concurrent.futures.Future[None] = concurrent.futures.Future()
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        waiting = [pool.submit(client, octets) for octets in requests]
        time.sleep(0.3)
        barrier.set_result(None)
        assert [one.result(30) for one in waiting] == [number.to_bytes(2) for number in range(200)]


def test_slow_clients_keep_nobody_out(served: Served) -> None:
    """More of them than there are places: each is cut off in time, or gives its place to who comes later."""
    slow = []
    try:
        for _ in range(240):
            connection = socket.create_connection(("127.0.0.1", served.port), timeout=20)
            connection.sendall(POST[:30])
            slow.append(connection)
        begin = time.monotonic()
        assert served.ask(served.request("good")).response.certificate_status is ocsp.OCSPCertStatus.GOOD
        assert time.monotonic() - begin < 1
        # A line a while does not buy time: a request is whole within a second, or nothing.
        end = time.monotonic() + 10
        alive = slow
        while alive and time.monotonic() < end:
            alive = [one for one in alive if _still_open(one)]
            time.sleep(0.1)
        assert not alive
    finally:
        for connection in slow:
            connection.close()


def _still_open(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"X")
        connection.setblocking(False)
        return connection.recv(100) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        if connection.fileno() >= 0:
            connection.settimeout(20)


def test_noise_ends_no_service(served: Served) -> None:
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
            connection.sendall(os.urandom(500))
    assert served.ask(served.request("good")).status == 200
    assert OCA in next(event for event in served.events() if event["event"] == "ocsp.serving")["authorities"]
