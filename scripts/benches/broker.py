"""How many commands a broker admits with all its rules on, against what must be computed for each.

By the clock, and by the processor's time, user and system: that is what a core can do whoever else is at work on the
machine. There the bound is measured between the chunks of the run, in the same process.

python -m scripts.benches.broker FOLDER FILE KEEP     one run over the commands in a file; prints what it took
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct
from msgspec.json import decode, encode

from scripts.benches.arithmetic import Arithmetic, without_bytecode_switch
from scripts.benches.report import Row
from smki.authority.founding import found
from smki.authority.workspace import Person, Workspace
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.gbcs.agreement import Agreement
from smki.gbcs.protection import sign
from smki.hsm.key import HsmPrivateKey
from smki.hsm.token import Token
from smki.meter_point import MeterPoint
from smki.parties.broker.admission import CHUNK
from smki.parties.broker.desk import BrokerDesk
from smki.parties.intake import take_in
from smki.parties.keys import certificates_in, read_certified, token_key
from smki.pki.keyid import key_hash
from smki.pki.public_key import spki_of
from smki.pki.serial import Serial
from smki.pki.status import Status
from smki.store.admission_records import AdmissionRecord, TallyRow
from smki.store.estate_records import DeviceRecord, DeviceStatus, Registered
from smki.store.records import Act, CertificateRecord
from smki.store.store import Store
from tests.house import no_prompt
from tests.parties.people import BROKER, arming, believe, certificate

_BATCH = 5000
_AIM = 0.6
_SUPPLIERS = 8  # no one of them may send more than 20 000 critical commands a day
_HABIT = 30_000  # of each, in each hour of the last ten weeks: what a bench sends is then nothing unusual
_FEW = 64  # devices that come again and again, for the run with kept secrets
_PROBES, _AGREEMENTS = 64, 16  # of each computation, after each chunk
_COMMAND_OCTETS = 120  # of a short one with its signature
_FIRST_DEVICE, _FIRST_SUPPLIER = 0x00DB123400000000, 0x90B3D51F40000000


def _now() -> datetime:
    return datetime.now(UTC)


def run(count: int, devices: int, stored: int) -> Iterator[Row]:
    """Rates with an empty store and with a full one, agreeing each time and with kept secrets."""
    for many in sorted({0, stored}):
        with tempfile.TemporaryDirectory(prefix="smki-bench-") as name:
            bench = _Bench(Path(name), count)
            bench.settle(devices if many else count, many)
            yield from bench.rows(many, max(devices if many else count, count))


class _Took(Struct, frozen=True):
    """Seconds a command."""

    clock: float
    spent: float
    """User and system time."""
    bound: float
    """The same, of one verify, one C_DeriveKey where no secret is kept, and one GMAC."""


class _Bench:
    """One broker's workspace."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.count = count

    def settle(self, devices: int, stored: int) -> None:
        """A broker, suppliers with a past, meters behind meter points, commands."""
        home = self.folder / "home"
        _ = list(found(home, _now, no_prompt, Person("bench"), "user"))
        with closing(Workspace(home, _now, no_prompt, Person("bench"))) as workspace:
            self._broker(workspace)
            suppliers = [EntityId((_FIRST_SUPPLIER + number).to_bytes(8)) for number in range(_SUPPLIERS)]
            keys = [ec.generate_private_key(ec.SECP256R1()) for _ in suppliers]
            pairs = zip(keys, suppliers, strict=True)
            certified = [certificate(key.public_key(), one, RemotePartyRole.SUPPLIER) for key, one in pairs]
            pem = b"".join(one.certificate.public_bytes(Encoding.PEM) for one in certified)
            (self.folder / "suppliers.pem").write_bytes(pem)
            store = workspace.store
            _put_devices(store, max(devices, self.count), suppliers)
            _put_certificates(store, self.count)
            _put_past(store, stored, suppliers)
            self._commands(suppliers, keys)

    def _broker(self, workspace: Workspace) -> None:
        believe(workspace.home)
        key = workspace.open_token("keys").generate_key("ka", b"ka" * 8, "agree")
        one = certificate(key.public_key(), BROKER, RemotePartyRole.ACCESS_CONTROL_BROKER, KeyUsage.KEY_AGREEMENT)
        (self.folder / "ka.der").write_bytes(one.certificate.public_bytes(Encoding.DER))

    def _commands(self, suppliers: Sequence[EntityId], keys: Sequence[ec.EllipticCurvePrivateKey]) -> None:
        """To as many devices as there are commands, and to a few of them again and again."""
        for name, among, first in (("all.jsonl", self.count, 0), ("few.jsonl", _FEW, self.count)):
            with (self.folder / name).open("w") as lines:
                for number in range(self.count):
                    device, who = number % among, number % among % _SUPPLIERS
                    target = EntityId((_FIRST_DEVICE + device).to_bytes(8))
                    plain = arming((1 << 40) + first + number, target=target, originator=suppliers[who])
                    lines.write(json.dumps({"message": sign(plain, keys[who]).encode().hex()}) + "\n")

    def rows(self, stored: int, devices: int) -> Iterator[Row]:
        arithmetic = Arithmetic(self.folder)
        agreed = arithmetic.agree(self.folder / "home", "keys")
        before = arithmetic.verify()
        anew, kept = self._took("all.jsonl", 0), self._took("few.jsonl", _FEW)
        checked = (before + arithmetic.verify()) / 2
        both = 1 / (1 / checked + 1 / agreed)
        what, full = f"{stored:,} stored, {devices:,} devices", f", {stored:,} before" if stored else ""
        for key, row, took, against, bound, least in (
            (
                "anew",
                "admit, a secret each time",
                anew,
                "1/(t_verify + C_DeriveKey)",
                both,
                "verify, C_DeriveKey, GMAC",
            ),
            ("kept", "admit, secrets kept", kept, "openssl speed verify", checked, "verify, GMAC"),
        ):
            of = {"stored": stored, "devices": devices}
            place = f"stores.{stored}.{key}"
            yield Row(place, row, 1 / took.clock, "1/s", f"{against}; {what}", bound, of=of)
            yield Row(f"{place}_spent", "  by processor time", 1 / took.spent, "1/s", least, 1 / took.bound, _AIM,
                      f"{row}, one core{full}")  # fmt: skip

    def _took(self, file: str, keep: int) -> _Took:
        command = [sys.executable, "-m", "scripts.benches.broker", str(self.folder), file, str(keep)]
        environment = without_bytecode_switch(self.folder)
        said = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
        return decode(said, type=_Took)


def _pieces(count: int) -> Iterator[range]:
    for start in range(0, count, _BATCH):
        yield range(start, min(count, start + _BATCH))


def _put_devices(store: Store, count: int, suppliers: Sequence[EntityId]) -> None:
    since = datetime.now(UTC) - timedelta(days=300)
    for piece in _pieces(count):
        points = [MeterPoint(f"19{number:011d}") for number in piece]
        with store.act(Act("bench.filled", "bench", since)) as tx:
            tx.put_devices(
                DeviceRecord(
                    EntityId((_FIRST_DEVICE + number).to_bytes(8)),
                    DeviceType.ESME,
                    DeviceStatus.COMMISSIONED,
                    point,
                    {},
                    {},
                )
                for number, point in zip(piece, points, strict=True)
            )
            tx.put_registrations(
                [
                    (point, Registered(suppliers[number % _SUPPLIERS], None, since))
                    for number, point in zip(piece, points, strict=True)
                ]
            )


def _put_certificates(store: Store, count: int) -> None:
    now = datetime.now(UTC)
    for piece in _pieces(count):
        records = []
        for number in piece:
            entity = EntityId((_FIRST_DEVICE + number).to_bytes(8))
            key = ec.generate_private_key(ec.SECP256R1()).public_key()
            one = certificate(key, entity, None, KeyUsage.KEY_AGREEMENT).certificate
            records.append(
                CertificateRecord(
                    issuer=1,
                    serial=Serial(one.serial_number.to_bytes(16)),
                    key_hash=key_hash(spki_of(key)),
                    entity=entity,
                    profile="device",
                    not_before=now - timedelta(days=1),
                    not_after=now + timedelta(days=3650),
                    der=one.public_bytes(Encoding.DER),
                    usage=KeyUsage.KEY_AGREEMENT,
                    status=Status.IN_USE,
                )
            )
        with store.act(Act("bench.filled", "bench", now)) as tx:
            tx.reserve_serials(1, [record.serial for record in records], "bench")
            tx.store_certificates(records)


def _put_past(store: Store, stored: int, suppliers: Sequence[EntityId]) -> None:
    """So many admissions, and habits."""
    now = datetime.now(UTC)
    for piece in _pieces(stored):
        records = [
            AdmissionRecord(
                number=number + 1,
                previous=0,
                digest=os.urandom(32),
                originator=suppliers[number % _SUPPLIERS],
                role=RemotePartyRole.SUPPLIER,
                target=EntityId((_FIRST_DEVICE + number).to_bytes(8)),
                code=0x0051,
                counter=number,
                at=now - timedelta(days=30),
                serial=os.urandom(16),
                signature=os.urandom(64),
            )
            for number in piece
        ]
        with store.act(Act("bench.filled", "bench", now)) as tx:
            tx.put_admissions(records, [])
    hour = int(now.timestamp()) // 3600 * 3600
    with store.act(Act("bench.filled", "bench", now)) as tx:
        tx.add_tallies(
            TallyRow(2, hour - 3600 * back, one.octets, 2, 0x0051, 19, _HABIT, 0, 0)
            for one in suppliers
            for back in range(24, 24 * 72)
        )


def _bare(agreeing: HsmPrivateKey) -> Callable[[bytes], bytes]:
    """The module's calls for an agreement alone, without what stands around them."""
    token = agreeing._token
    assert isinstance(token, Token)
    return token._do(lambda held: held._agreer(held._private(agreeing.key_id)))


class _Arithmetic:
    """What is computed for every command, and the time it takes while the run goes on."""

    def __init__(self, agreeing: HsmPrivateKey | None) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self._key, self._by = key.public_key(), ec.ECDSA(Prehashed(SHA256()))
        digests = [os.urandom(32) for _ in range(_PROBES)]
        self._signed = [(key.sign(digest, self._by), digest) for digest in digests]
        self._octets = os.urandom(_COMMAND_OCTETS)
        self._point = self._key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self._agree = agreeing and _bare(agreeing)
        self.spent = self.clock = self.bound = 0.0

    def measure(self) -> None:
        clock, begin = time.perf_counter(), time.process_time()
        for signature, digest in self._signed:
            self._key.verify(signature, digest, self._by)
        for _, digest in self._signed:
            AESGCM(digest[:16]).encrypt(digest[:12], b"", self._octets)
        one = (time.process_time() - begin) / len(self._signed)
        if self._agree:
            again = time.process_time()
            for _ in range(_AGREEMENTS):
                self._agree(self._point)
            one += (time.process_time() - again) / _AGREEMENTS
        self.bound += one * CHUNK
        self.spent += time.process_time() - begin
        self.clock += time.perf_counter() - clock


def _work(folder: Path, file: str, keep: int) -> _Took:
    """One run, from its file to its last line."""
    workspace = Workspace(folder / "home", _now, no_prompt, Person("bench"))
    one = read_certified(folder / "ka.der")
    given = list(take_in([folder / file], sys.stdin.buffer, 1_000_000))
    others = list(certificates_in((folder / "suppliers.pem",)))
    key = token_key(workspace, "keys", "ka", one)
    with Agreement(key, keep) as agreement, Path(os.devnull).open("wb") as lines:
        desk = BrokerDesk(workspace, BROKER, agreement, others)
        between = _Arithmetic(None if keep else key)
        clock, spent, admitted = time.perf_counter(), time.process_time(), 0
        for outcome in desk.submit(given):
            lines.write(encode(outcome.as_json()) + b"\n")
            admitted += outcome.result == "admitted"
            if outcome.result != "admitted":
                raise SystemExit(f"{outcome}")
            if admitted % CHUNK == 0:
                between.measure()
        desk.admission.handed_out()
        clock, spent = time.perf_counter() - clock - between.clock, time.process_time() - spent - between.spent
    return _Took(clock / admitted, spent / admitted, between.bound / (admitted // CHUNK * CHUNK))


if __name__ == "__main__":
    sys.stdout.buffer.write(encode(_work(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
