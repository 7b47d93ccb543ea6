"""What the authority believes is in a device's trust anchor cells, and what the device itself says (CS02a).

These are called inside somebody's act, with its transaction: the belief changes with the act that made it true.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from smki.device.cells import CellName
from smki.entity import EntityId, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.store.estate_records import MAX_FLOOR, Believed
from smki.store.transaction import Transaction

Change = tuple[EntityId, Mapping[CellName, Believed], Mapping[RemotePartyRole, int], str]
"""A device, its changed cells, its changed counter floors, and by which act."""
MAX_BY = 100
_PROOF_OCTETS = 32


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell in which something else is than was believed; None: nothing was, or the device has no such cell."""

    cell: CellName
    believed: Believed | None
    read: tuple[EntityId, bytes] | None


def believe(
    tx: Transaction,
    entity: EntityId,
    changes: Mapping[CellName, Believed],
    counters: Mapping[RemotePartyRole, int],
    by: str,
) -> None:
    """Believe something else of one device from now on; cells and counters that are not named stay as they are."""
    believe_many(tx, [(entity, changes, counters, by)])


def believe_many(tx: Transaction, rows: Iterable[Change]) -> None:
    """The same of many devices; give some thousand at once, each device in one row."""
    rows = tuple(rows)
    tx.lock()
    if unknown := tx.estate.unknown([entity for entity, *_ in rows]):
        raise _unknown(unknown[0])
    for entity, _, counters, by in rows:
        if not 0 < len(by) <= MAX_BY:
            raise InvalidInput("inventory.by", f"{entity}: an act is named in 1 to {MAX_BY} characters", "shorten it")
        check_floors(counters)
    tx.put_cells(
        [(entity, {name: replace(item, by=by) for name, item in cells.items()}) for entity, cells, _, by in rows]
    )
    tx.put_floors([(entity, counters) for entity, _, counters, _ in rows if counters])


def check_floors(counters: Mapping[RemotePartyRole, int]) -> None:
    for role, floor in counters.items():
        if not 0 <= floor <= MAX_FLOOR:
            raise InvalidInput("inventory.counter", f"{role.word} counter {floor}", f"give 0 to {MAX_FLOOR}")


def prove(
    tx: Transaction,
    entity: EntityId,
    cells: Mapping[CellName, tuple[EntityId, bytes]],
    at: datetime,
    proof: bytes,
    by: str = "",
) -> tuple[Difference, ...]:
    """Record what a device answered: every cell of each role that was read, by organisation and key identifier.

    `proof` is the SHA-256 of the response; a change is by that, or as `by` says. What the device says is believed
    from now on; what differed is given back.
    """
    if len(proof) != _PROOF_OCTETS:
        raise InvalidInput(
            "inventory.proof", f"a SHA-256 has 32 octets, not {len(proof)}", "give that of the response"
        )
    tx.lock()
    device = tx.estate.device(entity)
    if device is None:
        raise _unknown(entity)
    if device.proven_at is not None and at < device.proven_at:
        raise Refused("inventory.older-proof", f"{entity} gave a later answer", "an old answer proves nothing now")
    found: dict[CellName, Believed] = {}
    differences: list[Difference] = []
    for name, read in cells.items():
        holds, key = read
        before = device.cells.get(name)
        if before is not None and (before.holds, before.key_identifier) == read:
            found[name] = replace(before, proven_at=at)
        else:
            differences.append(Difference(name, before, read))
            found[name] = Believed(holds, key, None, at, by or f"read {proof.hex()[:16]}", at)
    roles = {name.role for name in cells}
    gone = [name for name in device.cells if name.role in roles and name not in cells]
    differences += [Difference(name, device.cells[name], None) for name in gone]
    tx.put_cells([(entity, found)])
    tx.drop_cells(entity, gone)
    tx.put_proof(entity, at, proof)
    return tuple(differences)


def _unknown(entity: EntityId) -> InvalidInput:
    return InvalidInput("inventory.unknown", f"{entity} is not in the inventory", "add it with `smki inventory add`")
