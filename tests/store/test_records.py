"""Records say in words what they are of."""

import pytest

from smki.store.records import HoldRecord
from tests.house import NOW


@pytest.mark.parametrize(
    ("items", "purpose", "words"),
    [
        (1, "revocations", "1 revocation"),
        (2, "revocations", "2 revocations"),
        (1, "signatures of ECS43", "1 signature of ECS43"),
        (12_000, "changes of supplier to 90-B3", "12,000 changes of supplier to 90-B3"),
    ],
)
def test_a_hold_says_how_many_of_what(items: int, purpose: str, words: str) -> None:
    assert HoldRecord(bytes(32), purpose, items, (), "waiting", "ann", NOW, {}).words == words
