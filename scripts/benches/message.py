"""How fast messages are signed, verified and protected, against what token and arithmetic allow.

python -m scripts.benches.message WORK FOLDER COUNT     one process of one of the works below; prints its rate
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from scripts.benches.arithmetic import Arithmetic, without_bytecode_switch
from scripts.benches.report import Row
from smki.device.state import SECRETS_KEPT
from smki.entity import KeyUsage, RemotePartyRole
from smki.gbcs.agreement import Agreement
from smki.gbcs.message import read_message
from smki.gbcs.protection import add_mac, digest_to_sign, sign, signature_holds
from smki.gbcs.words import Vocabulary, read
from smki.parties.keys import read_certified, token_key
from tests.house import founded, opened
from tests.parties.people import BROKER, METER, User, arming, certificate

_CHUNK = 512
_AIM = 0.9
_DEVICES = 64  # among which the commands of the run with kept secrets are spread


class Bench:
    """One user's workspace, and processes that work in it."""

    def __init__(self, folder: Path, processes: int, brief: bool) -> None:
        self.folder = folder
        self.processes = processes
        self.brief = brief

    def rate(self, work: str, count: int) -> float:
        """Messages a second, all processes together."""
        command = [sys.executable, "-m", "scripts.benches.message", work, str(self.folder), str(count)]
        environment = os.environ if self.brief else without_bytecode_switch(self.folder)
        running = []
        for _ in range(self.processes):
            running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
            time.sleep(0.05)  # SoftHSM loses a token to whoever starts while another logs in
        return sum(float(process.communicate()[0]) for process in running)

    def sign_with_everything(self, count: int) -> float:
        """The command a user types: every rule, every expectation, counters, log."""
        folder = self.folder
        commands, asked = folder / "commands.jsonl", folder / "asked.jsonl"
        vocabulary = _vocabulary(folder)
        with commands.open("w") as lines, asked.open("w") as wanted:
            for number in range(1, count + 1):
                message = arming(number)
                values = read(message, vocabulary).values
                lines.write(json.dumps({"message": message.encode().hex()}) + "\n")
                one = {"use_case": "ECS44", "target": str(METER), "counter": str(number), "values": values}
                wanted.write(json.dumps(one) + "\n")
        command = [
            sys.executable, "-m", "smki", "--home", str(folder / "user"), "message", "sign", "--from", str(commands),
            "--expect", str(asked), "--out", str(folder / "signed.jsonl"), "--token", "keys", "--key", "ds",
            "--certificate", str(folder / "ds.der"),
        ]  # fmt: skip
        begin = time.monotonic()
        subprocess.run(command, env=without_bytecode_switch(folder), check=True, capture_output=True)
        return count / (time.monotonic() - begin)


def run(count: int, processes: int, *, brief: bool = False) -> Generator[Row, None, None]:
    """Everything there is to know of the speed of messages."""
    with tempfile.TemporaryDirectory(prefix="smki-bench-") as name:
        folder = Path(name)
        with founded(folder / "user", lambda: datetime.now(UTC), kind="user") as house:
            user = User(house)
            (folder / "ds.der").write_bytes(user.certificate.certificate.public_bytes(Encoding.DER))
            key = house.workspace.open_token("keys").generate_key("ka", b"ka" * 8, "agree")
            one = certificate(key.public_key(), BROKER, RemotePartyRole.ACCESS_CONTROL_BROKER, KeyUsage.KEY_AGREEMENT)
            (folder / "ka.der").write_bytes(one.certificate.public_bytes(Encoding.DER))
        yield from _rows(Bench(folder, processes, brief), Arithmetic(folder, processes, brief), count)


def _rows(bench: Bench, arithmetic: Arithmetic, count: int) -> Iterator[Row]:
    together, home = f"{bench.processes} processes", bench.folder / "user"

    def between(measure: Callable[[], float], work: str) -> tuple[float, float]:
        """A rate, and its bound before and after it."""
        before, rate = measure(), bench.rate(work, count)
        return rate, (before + measure()) / 2

    signed, c_sign = between(lambda: arithmetic.sign(home, "keys"), "sign")
    yield Row("c_sign", "C_Sign", c_sign, "1/s", f"C loop on the token, {together}")
    what = "sign pre-commands: read, hash, sign, write"
    yield Row("sign", what, signed, "1/s", f"C_Sign, {together}", c_sign, _AIM, "sign pre-commands in the HSM")
    yield Row("sign_all", "sign, every rule and the log", bench.sign_with_everything(count), "1/s",
              "C_Sign, one process", c_sign / bench.processes)  # fmt: skip
    verified, verify = between(arithmetic.verify, "verify")
    yield Row("verify", "verify: read, check", verified, "1/s", f"openssl speed, {together}", verify, _AIM,
              "verify commands on a device")  # fmt: skip
    least = 1 / (1 / arithmetic.verify() + 1 / arithmetic.agree_in_software())
    one_each = "1/(t_verify + t_ECDH), openssl speed"
    yield Row("device", "device: checks 1 to 8", bench.rate("device", count), "1/s", one_each, least)
    yield Row("device_anew", "device: agreeing each time", bench.rate("device-anew", count), "1/s", one_each, least,
              None, "all of a device's checks, its secret agreed each time")  # fmt: skip
    macked, agreed = between(lambda: arithmetic.agree(home, "keys"), "mac")
    yield Row("mac", "MAC, a secret each time", macked, "1/s", f"C_DeriveKey in C, {together}", agreed,
              None, "MAC commands, a secret agreed in the HSM each time")  # fmt: skip
    octets = len(arming(1).inner)
    kept, in_c = between(lambda: arithmetic.mac(octets), "mac-kept")
    in_words = f"AES-GMAC + SHA-256 in C, {together}"
    yield Row("mac_kept", "MAC, secrets kept: read, MAC, write", kept, "1/s", in_words, in_c, None,
              "MAC commands, secrets kept, beside as much in C")  # fmt: skip
    yield Row("words", "read in words", bench.rate("words", count), "1/s", together)


# One process of one work


def _vocabulary(folder: Path) -> Vocabulary:
    from smki.parties.supplier import vocabulary

    house = opened(folder / "user")
    found = vocabulary(house.workspace)
    house.workspace.close()
    return found


def _sign(folder: Path, messages: list[bytes]) -> Callable[[], Any]:
    house = opened(folder / "user")
    key = token_key(house.workspace, "keys", "ds", read_certified(folder / "ds.der"))

    def work() -> None:
        for start in range(0, len(messages), _CHUNK):
            chunk = [read_message(octets) for octets in messages[start : start + _CHUNK]]
            signatures = key.sign_digests([digest_to_sign(message) for message in chunk])
            for message, signature in zip(chunk, signatures, strict=True):
                message.signed(signature).encode()

    return work


def _verify(folder: Path, messages: list[bytes]) -> Callable[[], Any]:
    del folder
    key = ec.generate_private_key(ec.SECP256R1())
    signed = [sign(read_message(octets), key).encode() for octets in messages]
    public = key.public_key()

    def work() -> None:
        for octets in signed:
            if not signature_holds(read_message(octets), public):
                raise AssertionError

    return work


def _mac(keep: int) -> Callable[[Path, list[bytes]], Callable[[], Any]]:
    def prepare(folder: Path, messages: list[bytes]) -> Callable[[], Any]:
        house = opened(folder / "user")
        key = token_key(house.workspace, "keys", "ka", read_certified(folder / "ka.der"))
        devices = [ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(_DEVICES)]
        agreement = Agreement(key, keep)

        def work() -> None:
            for number, octets in enumerate(messages):
                place = number % _DEVICES
                with agreement.with_peer(devices[place], bytes((place,))) as secret:
                    add_mac(read_message(octets), secret).encode()

        return work

    return prepare


def _words(folder: Path, messages: list[bytes]) -> Callable[[], Any]:
    vocabulary = _vocabulary(folder)

    def work() -> None:
        for octets in messages:
            _ = read(read_message(octets), vocabulary).values

    return work


def _device(keep: int) -> Callable[[Path, list[bytes]], Callable[[], Any]]:
    def prepare(folder: Path, messages: list[bytes]) -> Callable[[], Any]:
        from smki.device.receive import check
        from tests.device.desk import command, esme, keys

        del folder
        state, ours = esme(), replace(keys(), keep=keep)
        commands = [command(number).encode() for number in range(1, len(messages) + 1)]

        def work() -> None:
            for octets in commands:
                check(state, ours, octets)

        return work

    return prepare


_WORKS = {
    "sign": _sign,
    "verify": _verify,
    "mac": _mac(0),
    "mac-kept": _mac(_DEVICES),
    "words": _words,
    "device": _device(SECRETS_KEPT),
    "device-anew": _device(0),
}

if __name__ == "__main__":
    work, where, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    ready = _WORKS[work](where, [arming(number).encode() for number in range(1, count + 1)])
    begin = time.perf_counter()
    ready()
    print(count / (time.perf_counter() - begin))
