"""Logs as a stranger checks them, what is published, what no file may hold, what no file may be left."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from scripts.soaks.day.audit.scene import Checked, Scene
from smki.device.state import read_state

VERIFY = Path(__file__).parents[3] / "verify-audit"
_PRIVATE = {"pins", "tokens", "made", "meters.db", "meters.db-wal", "meters.db-shm", "passphrase"}
"""Where secrets live: PINs, tokens, the meters themselves, a laboratory's passphrase."""
_LOCKS = {".hsm-lock", ".ceremony-lock", ".publishing-lock"}
_CHUNK = 200
_BROKEN = re.compile(b"[\\n\\0]")


def logs(scene: Scene) -> Iterator[Checked]:
    """Each log is whole, and begins with every checkpoint that anybody saw; by a script that is not ours."""
    told = Checked("logs: Merkle trees and checkpoints, by scripts/verify-audit")
    kept = sorted((scene.folder / "kept").glob("checkpoint-*"))
    for name in scene.workspaces:
        export = scene.folder / "evening" / f"{name}.log"
        key = scene.at(name) / "published" / "audit" / "verifier-key"
        options = [word for path in (kept if name == "authority" else ()) for word in ("--checkpoint", str(path))]
        done = subprocess.run(
            [sys.executable, VERIFY, export, "--key", key, *options], capture_output=True, text=True, check=False
        )
        told.count += len(scene.entries(name))
        if done.returncode or "WARNING" in done.stdout:
            told.wrong.append(f"log of {name}: {done.stdout.strip()} {done.stderr.strip()}")
        exported = [json.loads(line) for line in export.read_bytes().splitlines()]
        lines = [json.loads(line["entry"]) for line in exported if "entry" in line]
        told.same(lines, scene.entries(name), f"log of {name}: what was exported is not what is in the store")
    yield told
    grown = Checked("checkpoints: none published is shorter than one before")
    sizes = [int(path.read_text().splitlines()[1]) for path in [*kept, scene.published / "audit" / "checkpoint"]]
    for before, after in pairwise(sizes):
        grown.holds(before <= after, f"a checkpoint of {after} entries was published after one of {before}")
    grown.same(
        sizes[-1],
        len(scene.entries("authority")),
        f"the last checkpoint signs {sizes[-1]} entries, and there are {len(scene.entries('authority'))}",
    )
    yield grown


def secrets(scene: Scene) -> Checked:
    """No PIN, passphrase, private key or shared secret stands in any file, in octets, hexadecimal or base64."""
    told = Checked("secrets: in no file, journal or output")
    sought = {form: what for what, octets in _secrets(scene) for form in _forms(octets)}
    patterns = scene.folder / "patterns"
    patterns.write_bytes(b"\n".join(sought) + b"\n")
    files = [path for path in _files(scene) if path != patterns]
    told.count = len(files)
    try:
        for start in range(0, len(files), _CHUNK):
            command = ["grep", "-aoHF", "-f", str(patterns), "--", *map(str, files[start : start + _CHUNK])]
            done = subprocess.run(command, capture_output=True, check=False, env={"LC_ALL": "C"})
            for line in set(done.stdout.splitlines()):
                path, _, found = line.partition(b":")
                told.wrong.append(
                    f"{Path(path.decode()).relative_to(scene.folder)} holds {sought.get(found, 'a secret')}"
                )
    finally:
        patterns.unlink()
    return told


def _secrets(scene: Scene) -> Iterator[tuple[str, bytes]]:
    for name in scene.workspaces:
        for path in (scene.at(name) / "pins").iterdir():
            yield f"the PIN {path.name} of {name}", path.read_bytes().strip()
    yield "an officer's passphrase", (scene.at("broker") / "passphrase").read_bytes().strip()
    broker = scene.certificate("broker-ka").public_key()
    assert isinstance(broker, ec.EllipticCurvePublicKey)
    for entity, octets in scene.meters("SELECT entity, state FROM meter"):
        _, keys = read_state(octets)
        whose = bytes(entity).hex()
        for key in (keys.signing, keys.agreement):
            yield f"a private key of {whose}", key.private_numbers().private_value.to_bytes(32)
        yield f"what {whose} shares with the broker", keys.agreement.exchange(ec.ECDH(), broker)


def _forms(octets: bytes) -> Iterator[bytes]:
    yield max(_BROKEN.split(octets), key=len)  # grep reads a pattern a line: what is left of it is long enough
    yield octets.hex().encode()
    yield octets.hex().upper().encode()
    for skip in range(3):  # base64 looks otherwise at each of three places
        yield base64.b64encode(octets[skip:])[: (len(octets) - skip) // 3 * 4]


def _files(scene: Scene) -> Iterable[Path]:
    for path in sorted(scene.folder.rglob("*")):
        parts = set(path.relative_to(scene.folder).parts)
        if path.is_file() and not path.is_symlink() and not parts & _PRIVATE:
            yield path


def leftovers(scene: Scene) -> Checked:
    """Nothing that was in the making is left."""
    told = Checked("files: none left in the making")
    for path in scene.folder.rglob("*"):
        if path.is_file():
            hidden = path.name.startswith(".") and path.name not in _LOCKS
            told.holds(not hidden and path.suffix != ".part", f"{path.relative_to(scene.folder)} was left")
    return told
