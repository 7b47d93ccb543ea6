"""Every description that is shipped reads; a wrong one is refused by file and key."""

from pathlib import Path

import pytest

from smki.errors import InvalidInput
from smki.hsm.description import load_descriptions
from tests.hsm.conftest import DESCRIPTIONS


def test_every_kind_reads() -> None:
    kinds = load_descriptions([DESCRIPTIONS])
    assert set(kinds) >= {"softhsm", "luna", "nshield", "cloudhsm", "yubihsm", "utimaco"}
    assert [kind for kind, read in kinds.items() if read.value.can_initialise] == ["softhsm"]
    assert all(read.value.notes for read in kinds.values())


def test_a_workspaces_own_description_counts(tmp_path: Path) -> None:
    (tmp_path / "softhsm.toml").write_text('title = "Ours"\nmodule = ["/x.so"]\n')
    assert load_descriptions([DESCRIPTIONS, tmp_path])["softhsm"].value.title == "Ours"


@pytest.mark.parametrize(
    "text", ['title = "X"\nmodule = []\n', 'title = "X"\nmodule = ["/x"]\ncolour = 1\n', "module = 1"]
)
def test_a_wrong_description_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(InvalidInput) as refusal:
        load_descriptions([tmp_path])
    assert "x.toml" in refusal.value.message
