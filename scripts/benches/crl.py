"""How fast revocation lists are made and published, and in how much memory, beside `openssl ca -gencrl`.

python -m scripts.benches.crl HOME     one publication in a process of its own; prints what it took, as JSON
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from scripts.benches.report import Row
from smki.authority.founding import found
from smki.authority.hierarchy import named
from smki.authority.publication.act import publish_lists
from smki.authority.workspace import Person
from smki.pki.reason import Reason
from smki.pki.serial import Serial
from smki.store.records import Act, RevocationRecord
from tests.house import House, no_prompt, opened

NAME = "dca-issuing-1"
_BATCH = 10_000
_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Taken:
    """What one way of making a list took."""

    seconds: float
    memory: int
    """The most that its process ever had in memory, imports and all."""
    octets: int


def run(counts: list[int]) -> Iterator[Row]:
    """Everything there is to know of lists of these lengths."""
    with tempfile.TemporaryDirectory(prefix="smki-bench-") as name:
        at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        alone = _ours(_authority(Path(name) / "alone", 1, at)[0])
        for count in counts:
            yield from _rows(Path(name) / str(count), count, at, alone)


def _rows(folder: Path, count: int, at: datetime, alone: Taken) -> Iterator[Row]:
    """`alone` is what the same process takes for a list of one entry."""
    home, serials = _authority(folder, count, at)
    ours, theirs = _ours(home), _theirs(folder, serials, at)
    key, of, what = f"lists.{count}", {"entries": count}, f"{count:,} {'entry' if count == 1 else 'entries'}"
    yield Row(f"{key}.seconds", f"make and publish, {what}", ours.seconds, "s", "the whole act", of=of)
    bar = f"make and publish a list of {count:,}, beside openssl ca" if count > 1 else ""
    yield Row(f"{key}.rate", "  entries a second", count / ours.seconds, "1/s", "openssl ca -gencrl, key in a file",
              count / theirs.seconds, None, bar, beside=True)  # fmt: skip
    if count > 1:
        each = (ours.seconds - alone.seconds) / count
        yield Row(f"each.{count}.time", "  time of an entry", each * 1e6, "µs", "above a list of one", of=of)
        above = (ours.memory - alone.memory - ours.octets) / count
        yield Row(
            f"each.{count}.memory", "  memory of an entry", above, "B", "above a list of one and the file itself"
        )
    yield Row(f"{key}.memory", "  memory of the whole process", ours.memory / _MEGABYTE, "MB", "openssl ca",
              theirs.memory / _MEGABYTE)  # fmt: skip
    yield Row(f"{key}.size", "  size of an entry", ours.octets / count, "B", "openssl ca", theirs.octets / count)
    yield Row(f"{key}.theirs", "  openssl ca -gencrl", theirs.seconds, "s", "the same entries")


def _authority(folder: Path, count: int, at: datetime) -> tuple[Path, list[Serial]]:
    folder.mkdir()
    home = folder / "authority"
    list(found(home, lambda: datetime.now(UTC), no_prompt, Person("bench")))
    house = opened(home, lambda: datetime.now(UTC))
    house.enrol()
    for number in "34":
        house.hold(house.shipped(number))
    serials = _revoke(house, count, at)
    house.workspace.close()
    return home, serials


def _revoke(house: House, count: int, at: datetime) -> list[Serial]:
    """So many, as the store keeps them; a few a second."""
    issuer, store = named(house.workspace, NAME).number, house.workspace.store
    serials = [Serial.draw(os.urandom, at) for _ in range(count)]
    with store.act(Act("bench.revoked", "bench", at)) as tx:
        tx.put_ground(bytes(32), "{}")
        for start in range(0, count, _BATCH):
            tx.put_revocations(
                [
                    RevocationRecord(
                        number + 1, issuer, serials[number], at + timedelta(seconds=number // 300),
                        Reason.KEY_COMPROMISE, bytes(32),
                    )
                    for number in range(start, min(start + _BATCH, count))
                ]
            )  # fmt: skip
    return serials


def _ours(home: Path) -> Taken:
    """Number, list, signature in the HSM, reading back, record, log, both files, and the folder around them."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benches.crl", home], capture_output=True, text=True, check=True
    )
    return Taken(**json.loads(done.stdout.splitlines()[-1]))


def _publish(home: Path) -> dict[str, Any]:
    house = opened(home, lambda: datetime.now(UTC))
    publish_lists(house.workspace, ("dca-root",))  # imports and logging in are not what takes the time
    begin = time.monotonic()
    (outcome,) = publish_lists(house.workspace, (NAME,)).outcomes
    seconds = time.monotonic() - begin
    assert outcome.record is not None, outcome.fault
    house.workspace.close()
    return {"seconds": seconds, "memory": _most_memory(), "octets": outcome.record.size}


def _most_memory() -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _theirs(folder: Path, serials: list[Serial], at: datetime) -> Taken:
    """The same entries, with a key in a file: no HSM, no record, no log."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "D1")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.not_valid_before(at).not_valid_after(at + timedelta(days=400)).public_key(key.public_key())
    builder = builder.add_extension(x509.SubjectKeyIdentifier(bytes(8)), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "ca.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with (folder / "index").open("w") as file:
        for number, serial in enumerate(serials):
            moment = at + timedelta(seconds=number // 300)
            file.write(f"R\t301231235959Z\t{moment:%y%m%d%H%M%SZ},keyCompromise\t{serial}\tunknown\t/CN=x\n")
    (folder / "number").write_text("01\n")
    (folder / "conf").write_text(_CONF.format(folder=folder))
    command: list[str | Path] = ["openssl", "ca", "-config", folder / "conf", "-gencrl", "-out", folder / "list.pem"]
    begin = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begin
    assert status == 0, "openssl ca made no list"
    der: list[str | Path] = ["-outform", "DER", "-out", folder / "list.der"]
    subprocess.run(["openssl", "crl", "-in", folder / "list.pem", *der], check=True)
    return Taken(seconds, used.ru_maxrss * 1024, (folder / "list.der").stat().st_size)


_CONF = """\
[ca]
default_ca = ours
[ours]
database = {folder}/index
crlnumber = {folder}/number
default_md = sha256
default_crl_days = 2
unique_subject = no
crl_extensions = list
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
[list]
authorityKeyIdentifier = keyid:always
"""

if __name__ == "__main__":
    print(json.dumps(_publish(Path(sys.argv[1]))))
