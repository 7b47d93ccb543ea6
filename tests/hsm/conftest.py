"""A SoftHSM of its own for every test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smki.hsm.description import load_descriptions
from smki.hsm.pin import Pin
from smki.hsm.token import Hsm, Token, TokenRef

DESCRIPTIONS = Path(__file__).parent.parent.parent / "hsm"
REF = TokenRef("one", "softhsm", "one", None)
PIN = "a pin of one"


def pin() -> Pin:
    return Pin(PIN)


def prepare(folder: Path) -> None:
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )


@pytest.fixture
def new_hsm(tmp_path: Path) -> Iterator[Callable[[], Hsm]]:
    """Make an HSM layer on the test's folder; each call ends the one before, as a new process would."""
    prepare(tmp_path)
    made: list[Hsm] = []

    def make() -> Hsm:
        for old in made:
            old.close()
        made.append(Hsm(load_descriptions([DESCRIPTIONS]), tmp_path))
        return made[-1]

    yield make
    for old in made:
        old.close()


@pytest.fixture
def hsm(new_hsm: Callable[[], Hsm]) -> Hsm:
    made = new_hsm()
    made.create_token(REF, Pin("security officer"), pin())
    return made


@pytest.fixture
def token(hsm: Hsm) -> Token:
    return hsm.open(REF, pin, None)
