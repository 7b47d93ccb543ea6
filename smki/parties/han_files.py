"""Commands to a home as files: for each party what it signs and is to find in it; and what takes a MAC alone."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from smki.authority.safe_files import new_folder, write_new
from smki.parties.han import Order

UNSIGNED = "mac"


def as_data(number: int, order: Order) -> dict[str, Any]:
    """One command for programs: what is printed. An install code opens the network, so it is in the files alone."""
    told = {
        "number": number,
        "use_case": str(order.code),
        "to": str(order.member),
        "originator": str(order.message.header.originator),
        "counter": str(order.message.header.counter),
        "signed_by": order.role.word if order.signed else None,
    }
    if order.secret:
        return told
    return {**told, "message": order.message.encode().hex(), "asked": order.expectation}


def write_orders(folder: Path, orders: Sequence[Order]) -> list[Path]:
    """New files in a new folder; nothing is written over."""
    written = []
    with new_folder(folder, 0o700) as inside:
        for name, lines in _files(orders):
            data = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
            write_new(inside / name, data, 0o600)
            written.append(folder / name)
    return written


def _files(orders: Sequence[Order]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """`supplier.jsonl` and what the supplier asked for, the broker's in the same way, and `mac.jsonl`."""
    numbered = list(enumerate(orders, 1))
    for role in sorted({one.role for one in orders if one.signed}):
        mine = [(number, one) for number, one in numbered if one.signed and one.role is role]
        yield f"{role.word}.jsonl", [_line(number, one) for number, one in mine]
        yield f"{role.word}-asked.jsonl", [one.expectation for _, one in mine]
    plain = [(number, one) for number, one in numbered if not one.signed]
    if plain:
        yield f"{UNSIGNED}.jsonl", [_line(number, one) for number, one in plain]


def _line(number: int, order: Order) -> dict[str, str]:
    return {"reference": f"{number} to {order.member}", "message": order.message.encode().hex()}
