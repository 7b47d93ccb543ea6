"""python -m scripts.figures [--check]: write the documents' blocks of figures anew, or say which are stale."""

import argparse
import sys

from scripts.figures.blocks import FiguresError, fill, stale
from scripts.figures.machine import ROOT

parser = argparse.ArgumentParser(prog="scripts/fill-figures", description="Write figures into the documents.")
parser.add_argument("--check", action="store_true", help="change nothing; fail if a block is not what its file says")
checks = parser.parse_args().check
try:
    if checks:
        found = list(stale())
        for one in found:
            print(f"{one.document.relative_to(ROOT)}:{one.line}: not what its file says; run scripts/fill-figures")
        sys.exit(bool(found))
    for document in fill():
        print(f"{document.relative_to(ROOT)} written")
except FiguresError as error:
    sys.exit(f"error: {error}")
