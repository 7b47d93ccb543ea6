"""Record scripts/demo in a terminal and draw chapters of it: python -m scripts.stories [RECORDING]"""

import argparse
import os
import pty
import re
import tempfile
from pathlib import Path

from scripts.stories.svg import WIDTH, Frame, draw

ROOT = Path(__file__).parent.parent.parent
# The demo's chapter, the line of it to begin with, and how many lines to show.
CHAPTERS = {
    "5.": (r"smki ceremony approve .*1-root-oca", 18),
    "6.": ("", 30),
    "12.": (r"time smki device issue", 30),
    "14.": (r"sed -n 2p", 30),
    "15.": ("", 30),
    "26.": (r"broker submit", 32),
    "27.": (r"smki cert revoke", 30),
    "31.": ("", 30),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/story")
    parser.add_argument("recording", nargs="?", type=Path)
    recording = parser.parse_args().recording or record()
    said = standing(recording.read_bytes().decode(errors="replace"))
    picture = ROOT / "docs" / "pictures" / "story.svg"
    picture.write_text(draw(frames(said)), encoding="utf-8")
    print(f"{picture.relative_to(ROOT)} written")


def record() -> Path:
    """The demo's output as a terminal had it."""
    folder = Path(tempfile.mkdtemp(prefix="smki-story-"))
    recording = folder / "typescript"
    os.environ["COLUMNS"] = str(WIDTH)
    with recording.open("wb") as file:

        def keep(descriptor: int) -> bytes:
            octets = os.read(descriptor, 65536)
            file.write(octets)
            return octets

        command = f"stty cols {WIDTH}; exec {ROOT}/scripts/demo {folder}/demo"
        status = pty.spawn(["bash", "-c", command], keep)
    if status:
        raise SystemExit("story: the demo failed")
    return recording


def standing(said: str) -> str:
    """What stands on the terminal in the end: bars are drawn over and over, and the cursor goes up and back."""
    rows, row = [""], 0
    for part in re.split(r"(\n|\r|\x1b\[[0-9]*[AK]|\x1b\[\?[0-9]+[hl])", said.replace("\r\n", "\n")):
        if part == "\n":
            row += 1
            rows += [""] * (row == len(rows))
        elif up := re.fullmatch(r"\x1b\[([0-9]*)A", part):
            row = max(0, row - int(up[1] or 1))
        elif part == "\r" or part.endswith("K"):
            rows[row] = ""
        elif not part.startswith("\x1b[?"):
            rows[row] += part
    return "\n".join(rows)


def frames(said: str) -> list[Frame]:
    """Of each chapter that is shown, its title and its lines."""
    told = {}
    for part in re.split(r"\n\x1b\[1m(?=\d+\. )", said)[1:]:
        title, _, text = part.partition("\x1b[0m\n")
        told[title.split(" ")[0]] = (title, text)
    shown = []
    for number, (begin, count) in CHAPTERS.items():
        title, text = told[number]
        lines = text.split("\n")
        first = next(place for place, line in enumerate(lines) if re.search(begin, line))
        lines = [line for line in lines[first:] if line.strip()]
        shown.append(
            Frame(re.split(r"(?<=[^0-9][.:;]) ", re.sub(r"\s+", " ", title))[0].rstrip(":;"), tuple(lines[:count]))
        )
    return shown


if __name__ == "__main__":
    main()
