"""A plan as TOML: what `smki recovery plan` writes, and people review."""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from smki.parties.recovery.case import METHODS
from smki.parties.recovery.file import Devices
from smki.words import utc

if TYPE_CHECKING:
    from smki.parties.recovery.draft import Floor, WantedPut, Wish


def toml_of(
    wish: "Wish",
    puts: "Iterable[WantedPut]",
    path: Iterable[bytes],
    devices_file: str,
    devices: Devices,
    floors: "Iterable[Floor]",
) -> str:
    """The text of a plan file."""
    lines = [*_head(wish, path), *_events(wish), *_signer(wish), "", "[devices]", f"file = {_text(devices_file)}"]
    lines += [f'sha256 = "{hashlib.sha256(devices.octets).hexdigest()}"', f"count = {devices.count}"]
    for put in puts:
        lines += ["", "[[put]]", f'cell = "{put.cell}"', f'certificate = "{_base64(put.certificate)}"']
        lines += [] if put.where is None else [f'where = "{put.where}"']
    for floor in floors:
        lines += ["", f"[floors.{floor.role.word}]", f"counter = {floor.counter}"]
        lines += [] if floor.top_up is None else [f"top_up = {floor.top_up}"]
    return "\n".join(lines) + "\n"


def _head(wish: "Wish", path: Iterable[bytes]) -> Iterator[str]:
    yield f"# {METHODS[wish.method]}"
    yield f'kind = "{"contingency" if wish.method == "contingency" else "recovery"}"'
    yield f"purpose = {_text(wish.purpose)}"
    if wish.method != "contingency":
        yield f'method = "{wish.method}"'
    yield f"root = {_text(wish.root)}"
    if wish.at is not None:
        yield f"at = {utc(wish.at)}"
    if not wish.check_times:
        yield "check_times = false"
    if wish.supersedes is not None:
        yield f"supersedes = {_text(wish.supersedes)}"
    yield "path = [" + ", ".join(f'"{_base64(der)}"' for der in path) + "]"


def _events(wish: "Wish") -> Iterator[str]:
    serials = ", ".join(_text(serial) for serial in wish.serials)
    yield from ("", "[compromise]", f"what = {_text(wish.what)}", f"certificates = [{serials}]")
    yield f"notified_by = {_text(wish.notified.by)}"
    yield f"notified_at = {utc(wish.notified.at)}"
    yield f"evidence = {_text(wish.notified.what)}"
    yield from ("", "[decision]", f"by = {_text(wish.decided.by)}", f"at = {utc(wish.decided.at)}")
    yield f"reference = {_text(wish.decided.what)}"


def _signer(wish: "Wish") -> Iterator[str]:
    if wish.signer is None:
        return
    der = wish.signer.certificate.public_bytes(Encoding.DER)
    yield from ("", "[signer]", f'certificate = "{_base64(der)}"', f"first_counter = {wish.first_counter}")
    if wish.token is not None:
        yield f"token = {_text(wish.token)}"
    if wish.key is not None:
        yield f"key = {_text(wish.key)}"


def _base64(der: bytes) -> str:
    return base64.b64encode(der).decode()


def _text(value: str) -> str:
    """A JSON string without characters beyond ASCII is a TOML basic string."""
    return json.dumps(value)
