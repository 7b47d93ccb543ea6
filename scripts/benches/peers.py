"""Others who issue certificates: the same P-256 requests, one after another, as each of them is meant to be used.

What each does less than we do is in `less`. None checks its own signatures after the HSM made them.
"""

import base64
import http.client
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.benches.arithmetic import module

TOKEN, LABEL = "dca-issuing", "dca-issuing-1"
_CONNECTIONS = 4


@dataclass(frozen=True)
class Desk:
    """What a peer is given: requests as PEM, the authority's certificate, its token, a folder of its own."""

    folder: Path
    home: Path
    authority: Path
    requests: Sequence[Path]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SOFTHSM2_CONF": str(self.home / "softhsm2.conf")}

    @property
    def pin(self) -> str:
        return (self.home / "pins" / TOKEN).read_text(encoding="utf-8").strip()


@dataclass(frozen=True)
class Peer:
    """A program, and how it issues."""

    key: str
    name: str
    less: str
    program: str
    at_once: bool
    """It takes many requests in one process; the others get a process a certificate, and fewer of them."""
    issue: Callable[[Desk], float]
    """Seconds for all requests."""

    @property
    def is_here(self) -> bool:
        return shutil.which(self.program) is not None and (self.program != "openssl" or _engine() is not None)


def as_pem(folder: Path, requests: Sequence[Path]) -> list[Path]:
    """What `smki device request` wrote, in the form that they all read."""
    folder.mkdir()
    names = []
    for number, path in enumerate(requests):
        text = base64.encodebytes(path.read_bytes()).decode()
        name = folder / f"{number}.pem"
        name.write_text(f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n")
        names.append(name)
    return names


def _engine() -> Path | None:
    return next(Path("/usr/lib").glob("*/engines-3/pkcs11.so"), None)


def _private_file(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


def _timed(command: Sequence[str | Path], environment: dict[str, str]) -> float:
    begin = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.monotonic() - begin
    if done.returncode:
        raise RuntimeError(f"{command[0]} {command[1]}: {done.stderr[-400:]}")
    return seconds


# OpenSSL with libp11's engine


def _openssl_ca(desk: Desk) -> float:
    conf = _openssl_conf(desk)
    (desk.folder / "index").touch()
    (desk.folder / "serial").write_text("1000\n")
    (desk.folder / "new").mkdir()
    seconds = _timed(
        [
            "openssl", "ca", "-batch", "-notext", "-engine", "pkcs11", "-keyform", "engine", "-keyfile", _url(),
            "-config", conf, "-cert", desk.authority, "-preserveDN", "-infiles", *desk.requests,
        ],
        {**desk.environment, "OPENSSL_CONF": str(conf)},
    )  # fmt: skip
    made = len(list((desk.folder / "new").iterdir()))
    if made != len(desk.requests):
        raise RuntimeError(f"openssl ca made {made} of {len(desk.requests)}")
    return seconds


def _openssl_x509(desk: Desk) -> float:
    conf = _openssl_conf(desk)
    environment = {**desk.environment, "OPENSSL_CONF": str(conf)}
    return sum(
        _timed(
            [
                "openssl", "x509", "-req", "-in", request, "-CA", desk.authority, "-engine", "pkcs11", "-CAkeyform",
                "engine", "-CAkey", _url(), "-set_serial", str(1000 + number), "-copy_extensions", "copy", "-days",
                "3650", "-sha256", "-out", desk.folder / f"{number}.cer",
            ],
            environment,
        )
        for number, request in enumerate(desk.requests)
    )  # fmt: skip


def _url() -> str:
    return f"pkcs11:token={TOKEN};object={LABEL};type=private"


def _openssl_conf(desk: Desk) -> Path:
    text = _OPENSSL_CONF.format(folder=desk.folder, module=module(), pin=desk.pin)
    return _private_file(desk.folder / "conf", text)


_OPENSSL_CONF = """\
openssl_conf = init
[init]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
MODULE_PATH = {module}
PIN = {pin}
init = 0
[ca]
default_ca = ours
[ours]
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}/new
default_md = sha256
default_days = 3650
policy = any
unique_subject = no
copy_extensions = copy
email_in_dn = no
[any]
commonName = optional
"""


# GnuTLS, which finds SoftHSM through p11-kit


def _certtool(desk: Desk) -> float:
    template = desk.folder / "template"
    environment = {**desk.environment, "GNUTLS_PIN": desk.pin}
    seconds = 0.0
    for number, request in enumerate(desk.requests):
        template.write_text(f"expiration_days = -1\nhonor_crq_extensions\nserial = {1000 + number}\n")
        seconds += _timed(
            [
                "certtool", "--generate-certificate", "--load-request", request, "--load-ca-certificate",
                desk.authority, "--load-ca-privkey", _url(), "--template", template, "--outfile",
                desk.folder / f"{number}.cer",
            ],
            environment,
        )  # fmt: skip
    return seconds


# cfssl: a server over HTTP, which uses every core


def _cfssl(desk: Desk) -> float:
    folder = desk.folder
    bodies = [json.dumps({"certificate_request": path.read_text()}).encode() for path in desk.requests]
    port = _free_port()
    with _cfssl_server(folder, port), ThreadPoolExecutor(_CONNECTIONS) as clients:
        begin = time.monotonic()
        made = sum(clients.map(_ask, [port] * _CONNECTIONS, (bodies[n::_CONNECTIONS] for n in range(_CONNECTIONS))))
        seconds = time.monotonic() - begin
    with closing(sqlite3.connect(folder / "certificates.db")) as database:
        (stored,) = database.execute("SELECT COUNT(*) FROM certificates").fetchone()
    if not made == stored == len(bodies):
        raise RuntimeError(f"cfssl made {made} and stored {stored} of {len(bodies)}")
    return seconds


def _ask(port: int, bodies: Sequence[bytes]) -> int:
    made = 0
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as server:
        for body in bodies:
            server.request("POST", "/api/v1/cfssl/sign", body)
            made += b"BEGIN CERTIFICATE" in server.getresponse().read()
    return made


@contextmanager
def _cfssl_server(folder: Path, port: int) -> Iterator[None]:
    key, certificate = folder / "ca.key", folder / "ca.pem"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-new", "-key", key, "-subj", "/CN=D1", "-days", "3650", "-out", certificate],
        check=True,
    )
    with closing(sqlite3.connect(folder / "certificates.db")) as database:
        database.executescript(_CFSSL_TABLES)
    config = folder / "config.json"
    config.write_text('{"signing": {"default": {"usages": ["digital signature"], "expiry": "87600h"}}}')
    store = folder / "store.json"
    store.write_text(json.dumps({"driver": "sqlite3", "data_source": str(folder / "certificates.db")}))
    command: list[str | Path] = [
        "cfssl", "serve", "-port", str(port), "-ca", certificate, "-ca-key", key, "-config", config, "-db-config",
        store, "-loglevel", "5",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    try:
        _wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("cfssl serves nothing")


_CFSSL_TABLES = """\
CREATE TABLE certificates (
    serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, ca_label blob, status blob NOT NULL,
    reason int, expiry timestamp, revoked_at timestamp, pem blob NOT NULL,
    PRIMARY KEY (serial_number, authority_key_identifier)
);
"""

PEERS = (
    Peer(
        "openssl_ca", "`openssl ca -infiles`", "same token; one process; a text file as its store, no log",
        "openssl", True, _openssl_ca,
    ),
    Peer("cfssl", "cfssl", "key in a file, no token; SQLite as its store, no log", "cfssl", True, _cfssl),
    Peer(
        "openssl_x509", "`openssl x509 -req`", "same token; a process a certificate; no store, no log",
        "openssl", False, _openssl_x509,
    ),
    Peer(
        "certtool", "GnuTLS certtool", "same token; a process a certificate; no store, no log",
        "certtool", False, _certtool,
    ),
)  # fmt: skip
