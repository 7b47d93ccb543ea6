"""The authority's desks: who issues, revokes, publishes, answers, backs up, and who checks."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from scripts.soaks.day.plan import Day, Revoked
from scripts.soaks.day.world import WORKS
from tests.prefork import SMKI

_FIRST_DEVICE = 0x00DB124000000000
_DEVICES = 60
_FEW = 4
VERIFY = Path(__file__).parents[3] / "scripts" / "verify-audit"
_UNMENDED = {2, 3, 5}
"""Exit codes after which systemd does not start a service again (docs/ocsp.md)."""


def issue(day: Day) -> None:
    """Batch after batch of devices; now and then one that was answered before."""
    chance = day.chance("issue")
    asked: list[Path] = []
    while not day.over():
        if not asked or chance.random() > 0.1:
            asked.append(request(day, len(asked), _DEVICES))
            answer(day, asked[-1], chance.choice("12"))
        else:
            answer(day, chance.choice(asked), chance.choice("12"))


def request(day: Day, number: int, devices: int) -> Path:
    """Requests of devices that nobody had before."""
    out = day.out("devices.jsonl")
    first = "-".join(f"{octet:02X}" for octet in (_FIRST_DEVICE + number * devices).to_bytes(8))
    day.hands.must("request", day.world.authority, "device", "request", first, "--count", str(devices), out=out)
    return out


def answer(day: Day, requests: Path, workers: str) -> None:
    out = day.out("issued.results")
    arguments = ("device", "issue", "--org", WORKS, "--from", requests, "--workers", workers)
    day.hands.must("issue", day.world.authority, *arguments, out=out)
    if out.exists():
        told = map(json.loads, out.read_text().splitlines())
        day.issued += [one["serial"] for one in told if one["result"] == "issued"]


def revoke(day: Day) -> None:
    chance = day.chance("revoke")
    while not day.over():
        day.rest(chance.uniform(2, 5))
        withdraw(day, chance)


def withdraw(day: Day, chance: random.Random) -> None:
    """Some devices' certificates are revoked, and a list is published that says so."""
    home, known = day.world.authority, {one.serial for one in day.revoked}
    free = [serial for serial in day.issued if serial not in known]
    if len(free) < _FEW:
        return
    chosen = chance.sample(free, _FEW)
    why = ("--reason", "key-compromise", "--requested-by", "alice", "--evidence", "a lorry was stolen")
    said = day.hands.must("revoke", home, "cert", "revoke", *chosen, *why)
    if said.code == 0:
        day.revoked += [Revoked(serial, time.monotonic()) for serial in chosen]
    # 1: the list or the folder around it waits for what is away; 3: the clock is not right
    day.hands.must("publish", home, "crl", "publish", "dca-issuing-1", may=(0, 1, 3))


def appoint(day: Day) -> None:
    """A responder with a new key takes the place of the one before."""
    while not day.over():
        day.rest(15)
        anew = ("ocsp", "appoint", "dca-issuing-1", "--token", "ocsp", "--anew")
        day.hands.must("appoint", day.world.authority, *anew)


def bring_lists(day: Day) -> None:
    """Those who verify fetch the lists."""
    crl = day.world.authority / "published" / "crl" / "oca-issuing-1.crl"
    while not day.over():
        for who in ("broker", "north", "south", "cos"):
            day.hands.must("fetch lists", day.world.at(who), "crl", "import", crl)
            day.rest(3)


def backups(day: Day) -> None:
    home = day.world.authority
    while not day.over():
        day.rest(10)
        out = day.out("backup")
        said = day.hands.persist("backup", SMKI, "--home", home, "store", "backup", out, out=out)
        if said.code:
            day.hands.wrong.append(f"backup: {said.code} {said.text[-600:]}")
            continue
        # 1: it is good, and something was published since
        day.hands.must("verify backup", home, "store", "verify", out, may=(0, 1))
        out.unlink()


def auditor(day: Day) -> None:
    """Somebody outside checks the log with a script that imports nothing of ours, and what they kept."""
    home, kept = day.world.authority, day.world.folder / "kept"
    while not day.over():
        day.rest(12)
        out = day.out("log.jsonl")
        before = sorted(kept.glob("checkpoint-*"))[-1:]
        day.hands.must("export", home, "audit", "export", out=out)
        if out.exists():
            verified = check_log(out, home / "published" / "audit" / "verifier-key", before)
            if verified:
                day.hands.wrong.append(f"verify-audit: {verified}")
            out.unlink()
        day.hands.must("verify log", home, "audit", "verify")


def check_log(log: Path, key: Path, kept: list[Path]) -> str:
    """What the stranger's script says against a log; nothing: it is whole."""
    options = [word for path in kept for word in ("--checkpoint", str(path))]
    done = subprocess.run(
        [sys.executable, VERIFY, log, "--key", key, *options], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


# Services


def serve(day: Day, desk: str, *arguments: str) -> None:
    """A service as systemd keeps it: started again when it ends, until the day is over."""
    while not day.over():
        with day.hands.started(desk, SMKI, "--home", day.world.authority, *arguments) as (child, words):
            while child.poll() is None and not day.over():
                time.sleep(0.1)
            if child.poll() is None:
                os.kill(child.pid, signal.SIGTERM)
            code = child.wait()
        day.hands.tries[desk] += 1
        text = words.read_text(errors="replace")
        if "Traceback" in text or code in _UNMENDED or (day.over() and code > 0):
            day.hands.wrong.append(f"{desk} ended with {code}: {text[-1500:]}")
        if code == 0 or day.over():
            day.hands.done[desk] += 1
        day.rest(1)


class Asker:
    """A client that asks by OCSP, and keeps what it was told."""

    def __init__(self, day: Day) -> None:
        self._day = day
        self._issuer = x509.load_pem_x509_certificate(day.world.certificate("dca-issuing-1").read_bytes())
        self.silent = 0
        self.told = 0

    def run(self, port: int) -> None:
        day, chance = self._day, self._day.chance("ask")
        while not day.over():
            day.rest(0.02)
            if not day.issued:
                continue
            asked = time.monotonic()
            known = {one.serial: one.at for one in day.revoked}
            pick = [*known] if known and chance.random() < 0.4 else day.issued
            serial = chance.choice(pick)
            said = self.ask(port, serial)
            if said is None:
                self.silent += 1
                day.rest(0.3)
                continue
            self.told += 1
            since = known.get(serial)
            if said == "good" and since is not None and asked - since > 3:
                day.hands.wrong.append(f"OCSP said good of {serial}, {asked - since:.1f} s after it was revoked")

    def ask(self, port: int, serial: str) -> str | None:
        """What the responder says; none: it says nothing, or to try later."""
        digest = hashes.Hash(hashes.SHA256())
        digest.update(self._issuer.subject.public_bytes())
        of_name = digest.finalize()
        digest = hashes.Hash(hashes.SHA256())
        digest.update(self._point())
        request = (
            ocsp.OCSPRequestBuilder()
            .add_certificate_by_hash(of_name, digest.finalize(), int(serial, 16), hashes.SHA256())
            .build()
            .public_bytes(Encoding.DER)
        )
        headers = {"Content-Type": "application/ocsp-request"}
        try:
            call = urllib.request.Request(f"http://127.0.0.1:{port}/", request, headers)
            with urllib.request.urlopen(call, timeout=10) as answer:  # noqa: S310 - of our own making
                response = ocsp.load_der_ocsp_response(answer.read())
        except (OSError, urllib.error.URLError):
            return None
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return None
        return response.certificate_status.name.lower()

    def _point(self) -> bytes:
        from cryptography.hazmat.primitives.serialization import PublicFormat

        return self._issuer.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def mirror(day: Day) -> None:
    """A mirror of what is published: each checkpoint and each list it ever saw, in their order."""
    before: dict[str, bytes] = {}
    while not day.over():
        look(day, before)
        day.rest(0.25)


def look(day: Day, before: dict[str, bytes]) -> None:
    published, kept = day.world.authority / "published", day.world.folder / "kept"
    for path in [published / "audit" / "checkpoint", *sorted((published / "crl").glob("*.crl"))]:
        with suppress(OSError):
            octets = path.read_bytes()
            if before.get(path.name) != octets:
                before[path.name] = octets
                (kept / f"{path.name}-{day.next():06d}").write_bytes(octets)
