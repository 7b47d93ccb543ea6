"""Policy files as trees, and each thing in them made another."""

import copy
import tomllib
from collections.abc import Iterator
from typing import Any

from scripts.fuzzing.policy import policy_target
from scripts.fuzzing.target import Target

Path = tuple[str | int, ...]


def tree_of(name: str) -> dict[str, Any]:
    """A shipped file, with something in what is shipped empty."""
    (octets,) = target_of(name).seeds()
    return tomllib.loads(octets.decode())


def target_of(name: str) -> Target:
    return policy_target(name)


def places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every table, list and value below the top, with its path."""
    if path:
        yield path, value
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from places(item, (*path, key))


def some(name: str, most: int) -> list[tuple[Path, Any]]:
    """At most so many, of every form there is; of those that are alike, the first."""
    alike: dict[object, tuple[Path, Any]] = {}
    for path, value in places(tree_of(name)):
        alike.setdefault((tuple("#" if isinstance(key, int) else key for key in path), type(value)), (path, value))
    found = list(alike.values())
    return found[:: 1 + len(found) // most]


def put(tree: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """The same tree with another value at the path."""
    changed = copy.deepcopy(tree)
    _above(changed, path)[path[-1]] = value
    return changed


def without(tree: dict[str, Any], path: Path) -> dict[str, Any]:
    changed = copy.deepcopy(tree)
    del _above(changed, path)[path[-1]]
    return changed


def _above(tree: Any, path: Path) -> Any:
    for key in path[:-1]:
        tree = tree[key]
    return tree
