"""The soak of an estate, of a size for every day: years of changes, with losses and attacks; an audit at the end."""

from pathlib import Path

from scripts.soaks.estate import soak


def test_an_estate_ends_as_the_authority_believes(tmp_path: Path) -> None:
    told: list[str] = []
    assert soak(tmp_path, 12, 7, told.append) == []
    assert len(told) == 6
    assert "of ousted parties" in told[-1]
    assert "repeated" in told[-1]
