"""Build a commit twice, in rooms as unlike as we can make them, and give out nothing that differs.

python -m scripts.packaging [--out FOLDER] [COMMIT]
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.packaging.build import Room, build

# What must not matter: where it is built, the hour, the tongue, the order of sets.
ROOMS = (
    Room("a", {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "0"}),
    Room("another/room", {"TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "7"}),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/package", description="Build the source archive and the wheel.")
    parser.add_argument("commit", nargs="?", default="HEAD", help="what is committed there is built, nothing else")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder for what was built")
    options = parser.parse_args()
    commit = _git("rev-parse", "--verify", f"{options.commit}^{{commit}}")
    made_at = int(_git("show", "-s", "--format=%ct", commit))
    with tempfile.TemporaryDirectory(prefix="smki-package-") as folder:
        first, second = (build(room, Path(folder), commit, made_at) for room in ROOMS)
        differing = [path.name for path, other in zip(first, second, strict=True) if _digest(path) != _digest(other)]
        if differing:
            print(f"package: built twice, and not the same: {', '.join(differing)}", file=sys.stderr)
            return 1
        options.out.mkdir(parents=True, exist_ok=True)
        for path in first:
            (options.out / path.name).write_bytes(path.read_bytes())
        sums = "".join(f"{_digest(path)}  {path.name}\n" for path in first)
    (options.out / "SHA256SUMS").write_text(sums, encoding="ascii")
    print(f"built twice from {commit}, the same octets:")
    print(sums, end="")
    return 0


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
