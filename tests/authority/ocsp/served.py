"""A world with certificates of every standing, a responder's process, and a client that says just what it likes."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from smki.authority.hierarchy import export_certificates, pem
from smki.authority.ocsp.appointing import appoint
from smki.authority.revocation.act import revoke
from smki.entity import KeyUsage
from smki.store.records import CertificateRecord
from tests.authority.desk import Desk, new_key
from tests.authority.revocation.world import World
from tests.house import founded, opened

OCA, INFRASTRUCTURE = "oca-issuing-1", "infra-issuing-1"
LIMITS = {
    'patience = "5s"': 'patience = "1s"',
    "connections = 512": "connections = 220",
    'idle = "30s"': 'idle = "3s"',
}


def now() -> datetime:
    return datetime.now(UTC)


def make(home: Path) -> None:
    """Certificates that are good, revoked, and to be revoked, under two authorities; a responder for each."""
    with founded(home, now) as house:
        path = home / "policies" / "ocsp.toml"
        text = path.read_text()
        for old, new in LIMITS.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path.write_text(text)
        house.enrol()
        house.stand_up()
        house.enrol_works()
        world = World(Desk(house)).enrol()
        found = {
            "good": world.organisation(),
            "revoked": world.organisation(usage=KeyUsage.KEY_AGREEMENT),
            "revoked later": world.organisation(usage=KeyUsage.KEY_AGREEMENT),
            "officer": _officer(world),
            "officer revoked": _officer(world),
        }
        world.revoke(found["revoked"], found["officer revoked"])
        for name in (OCA, INFRASTRUCTURE):
            appoint(house.workspace, name, "ocsp", anew=False)
        numbers = {name: str(record.serial) for name, record in found.items()}
        (home / "ocsp-world.json").write_text(json.dumps(numbers))


def _officer(world: World) -> CertificateRecord:
    world.officers_key = new_key()
    return world.officer()


@dataclass
class Answered:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def response(self) -> ocsp.OCSPResponse:
        return ocsp.load_der_ocsp_response(self.body)

    @property
    def is_try_later(self) -> bool:
        return self.response.response_status is ocsp.OCSPResponseStatus.TRY_LATER


@dataclass
class Served:
    """The process, and who asks it."""

    home: Path
    process: "subprocess.Popen[str]"
    log: Path
    port: int
    numbers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def file(self, what: str) -> Path:
        """A certificate as PEM: of an authority, its chain, or one of the world's."""
        path = self.log.parent / f"{what.replace(' ', '-')}.pem"
        if not path.exists():
            with self.world() as world:
                path.write_bytes(self._pem(world, what))
        return path

    def _pem(self, world: World, what: str) -> bytes:
        if what in self.numbers:
            (record,) = world.workspace.store.certificates.of_serial(self.serial(what))
            return pem(record.der)
        name = what.removesuffix(" chain")
        return export_certificates(world.workspace, name, chain=name != what, links=False, der=False)

    def serial(self, name: str) -> Any:
        from smki.pki.serial import Serial

        return Serial.parse(self.numbers[name])

    @contextmanager
    def world(self) -> Iterator[World]:
        """The workspace, as an administrator opens it meanwhile."""
        house = opened(self.home, now)
        try:
            yield World(Desk(house))
        finally:
            house.workspace.close()

    def revoke(self, name: str) -> float:
        """When it was committed, at the latest."""
        with self.world() as world:
            found = world.plan(self.serial(name))
            done = revoke(world.workspace, found)
            next(done)
            committed = time.monotonic()
            list(done)
        return committed

    def request(
        self, what: str, issuer: str = OCA, algorithm: hashes.HashAlgorithm | None = None, nonce: bytes | None = None
    ) -> bytes:
        certificate = x509.load_pem_x509_certificate(self.file(what).read_bytes())
        authority = x509.load_pem_x509_certificate(self.file(issuer).read_bytes())
        builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, authority, algorithm or hashes.SHA256())
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        return builder.build().public_bytes(Encoding.DER)

    def ask(self, octets: bytes, *, get: bool = False, more: str = "") -> Answered:
        return self.say(message(octets, get=get, more=more))

    def say(self, octets: bytes) -> Answered:
        """Send this, and read one answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(octets)
            return read_answer(connection)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


def message(octets: bytes, *, get: bool = False, more: str = "") -> bytes:
    if get:
        path = quote(base64.b64encode(octets).decode(), safe="")
        return f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode()
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/ocsp-request\r\n{more}"
    return f"{head}Content-Length: {len(octets)}\r\n\r\n".encode() + octets


def read_answer(connection: socket.socket) -> Answered:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            raise ConnectionResetError
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(first.split()[1])
    while status != 304 and len(body) < int(headers["content-length"]):
        body += connection.recv(65_536)
    return Answered(status, headers, body)


def start(home: Path, folder: Path) -> Served:
    """`smki ocsp serve` as an operator runs it, once it says that it serves; or its end, if that comes first."""
    log = folder / "journal"
    with log.open("w") as stderr:
        command = [sys.executable, "-m", "smki", "--home", str(home), "ocsp", "serve", "--listen", "127.0.0.1:0"]
        process = subprocess.Popen(command, stderr=stderr, text=True, env={**os.environ, "SMKI_DEBUG": "1"})
    served = Served(home, process, log, 0)
    numbers = home / "ocsp-world.json"
    served.numbers = json.loads(numbers.read_text())
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        for line in log.read_text().splitlines():
            if '"ocsp.serving"' in line:
                served.port = json.loads(line)["port"]
                return served
        time.sleep(0.02)
    return served
