"""Our own verification finds in the database what the stand-alone one cannot see, and what was taken out of it."""

import json
from pathlib import Path

import pytest

from smki.authority.auditing import prove_growth, verify_log
from smki.errors import SmkiError
from smki.store import merkle
from smki.store.note import Checkpoint
from tests.store.test_verify_audit import ENTRIES, append, change, make, signed, verify


def test_a_good_log_has_no_fault(tmp_path: Path) -> None:
    verdict = verify_log(make(tmp_path))
    assert (verdict.entries, verdict.checkpoints, verdict.sealed, verdict.faults) == (ENTRIES, ENTRIES, ENTRIES, ())


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("DELETE FROM audit_checkpoint", "nothing vouches"),
        ("UPDATE audit_node SET hash = zeroblob(32) WHERE level = 2 AND place = 0", "the tree above it"),
        ("UPDATE audit_node SET hash = zeroblob(32) WHERE level = 0 AND place = 2", "entry 2"),
        ("INSERT INTO audit_entry VALUES (-1, zeroblob(3))", "entry 0 is missing: the next is -1"),
        ("UPDATE audit_entry SET body = CAST(replace(body, '5', '6') AS BLOB) WHERE seq = 5", "entry 5"),
        ("DELETE FROM audit_entry WHERE seq = 8", "signed 9 entries, and there are 8"),
    ],
)
def test_a_change_is_told(tmp_path: Path, statement: str, word: str) -> None:
    store = make(tmp_path)
    change(tmp_path, statement)
    assert word in "; ".join(verify_log(store).faults)


@pytest.mark.requirement("R-AUD-4")
def test_a_history_rewritten_whole_contradicts_what_was_published(tmp_path: Path) -> None:
    """Entries, tree and checkpoints all made anew: no key is needed for it, until someone kept a checkpoint."""
    store = make(tmp_path)
    published = store.latest_checkpoint()
    assert published is not None
    entries = [entry.body.replace(b"number 2", b"number 0") for entry in store.audit_entries()]
    nodes: dict[tuple[int, int], bytes] = {}

    def node(level: int, place: int) -> bytes:
        return nodes[level, place]

    for seq, body in enumerate(entries):
        made = merkle.completed_by(seq, merkle.leaf_hash(body), node)
        nodes.update({(level, place): digest for level, place, digest in made})
    change(
        tmp_path,
        "DELETE FROM audit_checkpoint",
        "DELETE FROM audit_node",
        *(("UPDATE audit_entry SET body = ? WHERE seq = ?", (body, seq)) for seq, body in enumerate(entries)),
        *(("INSERT INTO audit_node VALUES (?, ?, ?)", (*at, digest)) for at, digest in nodes.items()),
    )
    append(store)
    assert verify_log(store).faults == ()
    assert "not those the checkpoint signed" in "; ".join(verify_log(store, published).faults)


def test_growth_is_proven_to_a_stranger_and_a_fork_is_not(tmp_path: Path) -> None:
    store = make(tmp_path)
    old = store.checkpoint(4)
    assert old is not None
    path = tmp_path / "growth.proof"
    path.write_text(json.dumps(prove_growth(store, old)))
    assert verify(path)[0] == 0
    for wrong in (signed(Checkpoint(store.origin, 4, b"\x01" * 32)), old.replace("\n4\n", "\n5\n"), ""):
        with pytest.raises(SmkiError):
            prove_growth(store, wrong)
