"""What is changed by hand in a day that is over: where, how, by which check it is found, and in which words."""

import base64
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from scripts.soaks.day.audit import certificates, files
from scripts.soaks.day.audit import commands as orders
from scripts.soaks.day.audit.scene import Checked, Scene
from smki.device.state import DeviceKeys, read_state
from tests.house import opened
from tests.once import place


def sql(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database, database:
            for statement in statements:
                assert database.execute(statement).rowcount > 0, statement

    return change


def lines(change: Callable[[list[Any]], object]) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        told = [json.loads(line) for line in path.read_bytes().splitlines()]
        change(told)
        path.write_text("".join(json.dumps(line) + "\n" for line in told))

    return rewrite


def put(octets: Callable[[Path], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(octets(path))


def _swap(told: list[Any]) -> None:
    told[0]["serial"], told[1]["serial"] = told[1]["serial"], told[0]["serial"]


def _other_mac(told: list[Any]) -> None:
    first = next(line for line in told if "message" in line)
    told.append({**first, "message": first["message"][:-2] + f"{int(first['message'][-2:], 16) ^ 1:02x}"})


def _let_out(told: list[Any]) -> None:
    """What is held, as if it had been admitted."""
    (held, *_) = (line["reference"] for line in _results("*.admitted") if line["result"] == "held")
    message = next(line["message"] for line in _results("*.signed") if line["reference"] == held)
    told.append({"reference": held, "result": "admitted", "message": message})


def _results(pattern: str) -> list[dict[str, Any]]:
    return [line for _, line in Scene(place() / "a-day").lines(pattern)]


def _twin(path: Path) -> None:
    """A list of the same number, and another."""
    octets = bytearray(path.read_bytes())
    octets[-1] ^= 1
    path.with_name(path.name[:-6] + "999999").write_bytes(octets)


def _back(path: Path) -> None:
    """The first list, published after the last."""
    shutil.copy(path, path.with_name(path.name[:-6] + "999999"))


def _a_key(path: Path) -> None:
    house = opened(path.parent)
    try:
        house.workspace.open_token("keys").generate_key("nobody's", os.urandom(16), "sign")
    finally:
        house.workspace.close()


def _private(folder: Path) -> bytes:
    return _keys(folder).signing.private_numbers().private_value.to_bytes(32)


def _shared(folder: Path) -> bytes:
    broker = Scene(folder).certificate("broker-ka").public_key()
    assert isinstance(broker, ec.EllipticCurvePublicKey)
    return _keys(folder).agreement.exchange(ec.ECDH(), broker)


def _keys(folder: Path) -> DeviceKeys:
    ((state,),) = Scene(folder).meters("SELECT state FROM meter LIMIT 1")
    return read_state(state)[1]


def _of(check: Callable[[Scene, orders.Ledger], Any]) -> Callable[[Scene], Iterable[Checked]]:
    def run(scene: Scene) -> Iterable[Checked]:
        found = check(scene, orders.Ledger(scene))
        return [found] if isinstance(found, Checked) else found

    return run


_COPY = "issuer, not_before, not_after, profile, key_hash, entity, der, status, usage, role, subscriber, request"
AUTHORITY, NORTH, BROKER, COS = (f"disk/{name}/smki.db" for name in ("authority", "north", "broker", "cos"))
METERS, RESULTS, KEPT = "meters/meters.db", "disk/results", "kept"
PLANTED: dict[str, tuple[str, Callable[[Path], object], Callable[[Scene], Iterable[Checked]], str]] = {
    "a certificate twice": (
        AUTHORITY,
        sql(f"INSERT INTO certificate (serial, {_COPY}) SELECT x'43{'00' * 15}', {_COPY} FROM certificate LIMIT 1"),
        certificates.issued,
        "is not the only one, or another inside|is certified 2 times|is not in the log just once",
    ),
    "a certificate gone": (
        AUTHORITY,
        sql("DELETE FROM certificate WHERE serial = (SELECT MAX(serial) FROM certificate)"),
        certificates.issued,
        "and none is stored",
    ),
    "a certificate changed": (
        AUTHORITY,
        sql(
            "UPDATE certificate SET der = CAST(substr(der, 1, length(der) - 1) || x'00' AS BLOB) WHERE serial IN"
            " (SELECT serial FROM certificate LIMIT 1)"
        ),
        certificates.issued,
        "is not signed by its issuer",
    ),
    "a serial number nobody drew": (
        AUTHORITY,
        sql(f"INSERT INTO reservation VALUES (0, 1, 1, x'43{'00' * 15}', 'nothing')"),
        lambda scene: [certificates.numbers(scene)],
        "0 times drawn",
    ),
    "an outcome of another's request": (
        f"{RESULTS}/*.results",
        lines(_swap),
        lambda scene: [certificates.requests(scene)],
        "is no certificate of what",
    ),
    "a request with two certificates": (
        f"{RESULTS}/*.results",
        lines(lambda told: told.append({**told[0], "serial": told[1]["serial"]})),
        lambda scene: [certificates.requests(scene)],
        "has the certificates",
    ),
    "a certificate nobody asked for": (
        f"{RESULTS}/*-devices.jsonl",
        lines(list.pop),
        lambda scene: [certificates.requests(scene)],
        "nobody asked for it",
    ),
    "a revocation forgotten": (
        AUTHORITY,
        sql("DELETE FROM revocation WHERE number = 1"),
        lambda scene: [certificates.revocations(scene)],
        "is revoked: log True, store False, list True",
    ),
    "an answer that is wrong": (
        "ocsp.json",
        lambda path: path.write_text(path.read_text().replace('"revoked"', '"good"', 1)),
        lambda scene: [certificates.revocations(scene)],
        "OCSP says good",
    ),
    "a revoked one nobody asked about": (
        "ocsp.json",
        lambda path: path.write_text("{}"),
        lambda scene: [certificates.revocations(scene)],
        "nobody asked by OCSP",
    ),
    "twins of a list": (f"{KEPT}/dca-issuing-1.crl-*", _twin, certificates.lists, "two lists of dca-issuing-1.crl"),
    "an old list after a new one": (f"{KEPT}/dca-issuing-1.crl-*", _back, certificates.lists, "was published after"),
    "a number of lists twice": (
        AUTHORITY,
        sql(
            "UPDATE audit_entry SET body = (SELECT body FROM audit_entry WHERE instr(body, 'crl.number-reserved'))"
            " WHERE seq = 0"
        ),
        certificates.lists,
        "was set aside 2 times",
    ),
    "a key without a record": (
        "disk/north/tokens",
        _a_key,
        lambda scene: [certificates.keys(scene)],
        'has a key "nobody\'s" that nothing',
    ),
    "a signature without a record": (
        NORTH,
        sql("DELETE FROM signed WHERE rowid = 1"),
        _of(orders.signed),
        "its signer has no record of it",
    ),
    "a signature that does not hold": (
        f"{RESULTS}/*.signed",
        lines(lambda told: told[0].update(message=told[0]["message"][:-2] + "00")),
        _of(orders.signed),
        "does not hold",
    ),
    "a counter twice": (
        NORTH,
        sql(
            'UPDATE audit_entry SET body = replace(CAST(body AS TEXT), \'"counter":"1001"\','
            ' \'"counter":"1000"\') WHERE instr(body, \'"counter":"1001"\')'
        ),
        _of(orders.signed),
        "counter 1000 was used 2 times|counter 1000 after 1000",
    ),
    "an admission twice": (
        BROKER,
        sql("UPDATE admission SET digest = (SELECT digest FROM admission WHERE number = 1) WHERE number = 2"),
        _of(orders.admitted),
        "was admitted 2 times",
    ),
    "an admission of an older counter": (
        BROKER,
        sql(
            "UPDATE admission SET counter = x'0000000000000001'"
            " WHERE number = (SELECT MAX(number) FROM admission WHERE previous > 0)"
        ),
        _of(orders.admitted),
        "was admitted after a higher one",
    ),
    "a command with two MACs": (
        f"{RESULTS}/*.admitted",
        lines(_other_mac),
        _of(orders.admitted),
        "was handed out in 2 forms",
    ),
    "a command that was never handed out": (
        f"{RESULTS}/*.admitted",
        lines(list.clear),
        _of(orders.admitted),
        "was handed out in 0 forms",
    ),
    "a command that waits for ever": (
        BROKER,
        sql("INSERT INTO outgoing SELECT number, 0, x'00', x'00', 'nobody was told' FROM admission WHERE number = 1"),
        _of(orders.admitted),
        "waits, and nobody was told why",
    ),
    "a held command let out": (
        f"{RESULTS}/*.admitted",
        lines(_let_out),
        _of(orders.admitted),
        "was not admitted, and is handed out",
    ),
    "an admission that is gone": (
        BROKER,
        sql("DELETE FROM admission WHERE number = 1"),
        _of(orders.admitted),
        "and a device heard it",
    ),
    "a command obeyed twice": (
        METERS,
        sql(
            "INSERT INTO heard (command, whole, entity, verdict) SELECT command, whole, entity, verdict FROM heard"
            " WHERE verdict = 'accepted' LIMIT 1"
        ),
        _of(orders.obeyed),
        "was obeyed 2 times",
    ),
    "a command no device heard": (
        METERS,
        sql("DELETE FROM heard WHERE number = 1"),
        _of(orders.obeyed),
        "and no device heard it",
    ),
    "a command from nobody": (
        METERS,
        sql("UPDATE heard SET whole = x'00' WHERE number = 1"),
        _of(orders.obeyed),
        "nobody handed it out",
    ),
    "a refusal without a reason": (
        METERS,
        sql("UPDATE heard SET verdict = 'receive.counter' WHERE number = 1"),
        _of(orders.obeyed),
        "was refused as old, and it is not",
    ),
    "a supplier refused": (
        METERS,
        sql("UPDATE heard SET verdict = 'receive.originator' WHERE number = 1"),
        _of(orders.obeyed),
        "and its user is the supplier",
    ),
    "a cell that holds another": (
        COS,
        sql("UPDATE cell SET key_identifier = x'00' WHERE rowid = 1"),
        lambda scene: [orders.cells(scene)],
        "holds another key than is believed",
    ),
    "an entry changed": (
        AUTHORITY,
        sql(
            "UPDATE audit_entry SET body = replace(CAST(body AS TEXT), 'alice', 'mallory') WHERE instr(body, 'alice')"
        ),
        files.logs,
        "what was exported is not what is in the store",
    ),
    "an export changed": (
        "evening/north.log",
        lambda path: path.write_text(path.read_text().replace("message.signing", "message.sighing", 1)),
        files.logs,
        "at least one is not what was signed",
    ),
    "an old checkpoint published": (
        "disk/authority/published/audit/checkpoint",
        put(lambda path: min((path.parents[4] / KEPT).glob("checkpoint-*")).read_bytes()),
        files.logs,
        "was published after one of",
    ),
    "a PIN in a file": (
        "said/pin",
        put(lambda path: b"PIN: " + (path.parents[1] / "disk/north/pins/keys").read_bytes()),
        lambda scene: [files.secrets(scene)],
        "said/pin holds the PIN keys of north",
    ),
    "a private key in base64": (
        "disk/results/dump",
        put(lambda path: base64.b64encode(b"12" + _private(path.parents[2]) + b"3")),
        lambda scene: [files.secrets(scene)],
        "disk/results/dump holds a private key of",
    ),
    "a shared secret in hexadecimal": (
        "disk/results/dump",
        put(lambda path: _shared(path.parents[2]).hex().encode()),
        lambda scene: [files.secrets(scene)],
        "disk/results/dump holds what",
    ),
    "a file in the making": (
        "disk/authority/.smki.toml.0123",
        put(lambda _: b""),
        lambda scene: [files.leftovers(scene)],
        "was left",
    ),
}
