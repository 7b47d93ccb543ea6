"""What is believed of a device changes inside an act, and is held against what the device says."""

from collections.abc import Callable

import pytest

from smki.authority.estate import Believed, Difference, believe, believe_many, device_of, prove
from smki.authority.estate.inventory import import_devices
from smki.authority.log import act
from smki.authority.workspace import Workspace
from smki.entity import RemotePartyRole
from smki.errors import SmkiError
from smki.store.transaction import Transaction
from tests.authority.estate.people import (
    DS,
    KA,
    KEY,
    NORTH,
    SOUTH,
    TOP_UP,
    WIRES,
    WIRES_DS,
    as_lines,
    device,
    meter,
    noon,
)

OTHER_KEY = bytes(8)
PROOF = b"p" * 32
SUPPLIER = RemotePartyRole.SUPPLIER


@pytest.fixture
def two(workspace: Workspace) -> Workspace:
    rows = [meter(n, **{"supplier counter": "5", "networkOperator counter": "6"}) for n in (1, 2)]
    assert import_devices(workspace, [as_lines(workspace.home / "rows", rows)]).tally.added == 2
    return workspace


def believed(workspace: Workspace, number: int) -> dict[str, str]:
    found = device_of(workspace, device(number))
    assert found is not None
    return {str(name): str(item.holds) for name, item in found.cells.items()}


def test_belief_changes_for_what_is_named(two: Workspace) -> None:
    new = Believed(SOUTH, OTHER_KEY, None, noon(20), "said elsewhere")
    with act(two, "test") as tx:
        believe(tx, device(1), {DS: new, KA: new}, {SUPPLIER: 0}, "cs02b 4711")
        believe_many(tx, [(device(2), {TOP_UP: new}, {}, "cs02b 4712")])
    found = device_of(two, device(1))
    assert found is not None
    assert found.cells[DS] == Believed(SOUTH, OTHER_KEY, None, noon(20), "cs02b 4711")
    assert [found.cells[name].holds for name in (DS, KA, TOP_UP, WIRES_DS)] == [SOUTH, SOUTH, NORTH, WIRES]
    assert found.counters == {SUPPLIER: 0, RemotePartyRole.NETWORK_OPERATOR: 6}
    assert believed(two, 2)[str(TOP_UP)] == str(SOUTH)


def test_a_device_that_says_what_is_believed_proves_it(two: Workspace) -> None:
    read = {name: (NORTH, bytes.fromhex(KEY)) for name in (DS, KA, TOP_UP)}
    with act(two, "test") as tx:
        assert prove(tx, device(1), read, noon(20), PROOF) == ()
    found = device_of(two, device(1))
    assert found is not None
    assert (found.proven_at, found.proof) == (noon(20), PROOF)
    assert {name for name, item in found.cells.items() if item.proven_at == noon(20)} == {DS, KA, TOP_UP}
    assert found.cells[DS].by == "inventory.imported"
    with act(two, "test") as tx:  # what is changed afterwards is not proven any more
        believe(tx, device(1), {DS: Believed(SOUTH, OTHER_KEY, None, noon(21))}, {}, "test")
    found = device_of(two, device(1))
    assert found is not None
    assert found.cells[DS].proven_at is None


def test_what_a_device_says_is_believed_and_told(two: Workspace) -> None:
    before = device_of(two, device(1))
    assert before is not None
    with act(two, "test") as tx:
        told = prove(tx, device(1), {DS: (SOUTH, OTHER_KEY), KA: (NORTH, bytes.fromhex(KEY))}, noon(20), PROOF)
    assert told == (
        Difference(DS, before.cells[DS], (SOUTH, OTHER_KEY)),
        Difference(TOP_UP, before.cells[TOP_UP], None),
    )
    found = device_of(two, device(1))
    assert found is not None
    assert found.cells[DS] == Believed(SOUTH, OTHER_KEY, None, noon(20), f"read {PROOF.hex()[:16]}", noon(20))
    assert TOP_UP not in found.cells
    assert found.cells[WIRES_DS] == before.cells[WIRES_DS]  # that role was not read
    assert believed(two, 2)[str(DS)] == str(NORTH)


def test_belief_goes_with_its_act(two: Workspace) -> None:
    def fail() -> None:
        with act(two, "test") as tx:
            believe(tx, device(1), {DS: Believed(SOUTH, OTHER_KEY, None, noon(21))}, {}, "test")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert believed(two, 1)[str(DS)] == str(NORTH)


@pytest.mark.parametrize(
    ("work", "code"),
    [
        (lambda tx: believe(tx, device(3), {}, {}, "test"), "inventory.unknown"),
        (lambda tx: believe(tx, device(1), {}, {SUPPLIER: 1 << 63}, "test"), "inventory.counter"),
        (lambda tx: believe(tx, device(1), {}, {SUPPLIER: -1}, "test"), "inventory.counter"),
        (lambda tx: believe(tx, device(1), {}, {}, ""), "inventory.by"),
        (lambda tx: believe(tx, device(1), {}, {}, "x" * 101), "inventory.by"),
        (lambda tx: prove(tx, device(3), {}, noon(21), PROOF), "inventory.unknown"),
        (lambda tx: prove(tx, device(1), {}, noon(21), b"short"), "inventory.proof"),
        (lambda tx: prove(tx, device(1), {DS: (NORTH, b"short")}, noon(21), PROOF), "inventory.key-identifier"),
    ],
)
def test_what_cannot_be_believed_is_refused(work: Callable[[Transaction], object], code: str, two: Workspace) -> None:
    with pytest.raises(SmkiError) as refusal, act(two, "test") as tx:
        work(tx)
    assert refusal.value.code == code


def test_an_older_answer_proves_nothing(two: Workspace) -> None:
    read = {DS: (NORTH, bytes.fromhex(KEY))}
    with act(two, "test") as tx:
        prove(tx, device(1), read, noon(20), PROOF)
    with pytest.raises(SmkiError) as refusal, act(two, "test") as tx:
        prove(tx, device(1), read, noon(19), PROOF)
    assert refusal.value.code == "inventory.older-proof"
