"""Where codes are given: every call that makes an error, a fault, a verdict or an alarm, with its words read off.

Such a thing is made where its class is called, or in a small function that such a call stands in: then the calls of
that function count, with their arguments in the place of its parameters. What only passes on another's code makes
none. A call that is none of these is an error of this reading, and is not left out.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import get_args

from scripts.references.scopes import Function
from scripts.references.sources import ROOT, Undocumented, tree_of
from scripts.references.wording import VARIES, Context, Free, Place, Words
from smki.store.admission_records import QuarantineState

_DEEPEST = 6
_PARTS = {"code", "message", "remedy"}
_UNTOLD = ast.Constant(value=VARIES)
"""An argument that comes with `**`."""
_CODE = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+(\.…)?\Z")  # the last: a finding of pkilint's, by its own name
_STATES: Mapping[str, tuple[str, ...]] = {f"quarantine.{VARIES}": get_args(QuarantineState)}
_STATUS = {"SmkiError": 1, "InvalidInput": 2, "Refused": 3, "Unavailable": 4, "IntegrityFailure": 5}
# Beside errors, the classes whose values carry a code; where a part is not given, what stands for it.
_CLASSES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_STATUS, ("code", "message", "remedy")),
    "Fault": ("code", "message", "remedy"),
    "Shortfall": ("code", "message", "remedy"),
    "Alarm": ("code", "message", "remedy"),
    "Rule": ("step", "code", "alert", "remedy"),
    "Meaning": ("kind", "code", "message", "remedy"),
}
_IN = {  # of names that other things bear too, where they mean this
    "Rule": "smki/device/verdict.py",
    "Meaning": "smki/hsm/errors.py",
    "Alarm": "smki/authority/publication/schedule.py",
    "Shortfall": "smki/authority/backup/published.py",
}
_WITHOUT = {"Shortfall": "_REMEDY", "Alarm": "'`smki crl publish`, with the token of the authority'"}


@dataclass(frozen=True)
class Told:
    """One place where a code is given."""

    code: str
    status: int | None
    """The exit status of an error; none of what is told of one thing among others."""
    message: str
    remedy: str
    module: str


@dataclass(frozen=True)
class _Part:
    """An expression, and the function it stands in."""

    value: ast.expr
    place: Place


@dataclass(frozen=True)
class _Making:
    """A call that makes something with a code, as far as it is known."""

    status: int | None
    parts: Mapping[str, _Part]
    context: Context
    module: str
    line: int
    depth: int = 0


@dataclass
class _Reading:
    """One reading of the whole source."""

    told: dict[Told, None] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    def read(self) -> None:
        for path in sources():
            for place, call in calls(path):
                if (making := _of_class(path, place, call)) is not None:
                    self._take(making)

    def _take(self, making: _Making) -> None:
        words = {name: Words(making.context).all(part.value, part.place) for name, part in making.parts.items()}
        code = words["code"]
        free = code.free or words["remedy"].free
        if free and making.depth < _DEEPEST and (found := list(_handed_on(making, free))):
            for one in found:
                self._take(one)
            return
        if _passes_on(making.parts["code"], making.context):
            return
        for text in _whole(code.texts):
            if _CODE.match(text):
                remedy = _fitting(words["remedy"].texts, code.texts, text)
                message = " / ".join(words["message"].texts[:3]) if "message" in words else ""
                self.told[Told(text, making.status, message, remedy, making.module)] = None
            elif not free:
                self.lost.append(f"{making.module}:{making.line}: {text!r}")


def _whole(codes: tuple[str, ...]) -> Iterator[str]:
    """Codes that end in a state, one for each."""
    for code in codes:
        yield from (code.replace(VARIES, state) for state in _STATES[code]) if code in _STATES else (code,)


def _fitting(remedies: tuple[str, ...], codes: tuple[str, ...], code: str) -> str:
    """Where codes and remedies were chosen together, the one of this code."""
    if len(remedies) == len(codes) > 1 and code in codes:
        return remedies[codes.index(code)]
    return " / ".join(remedies)


@cache
def all_codes() -> tuple[Told, ...]:
    """Every code, with its words; or an error that names what could not be read."""
    reading = _Reading()
    reading.read()
    if reading.lost:
        raise Undocumented("these codes cannot be read:\n" + "\n".join(reading.lost))
    return tuple(reading.told)


@cache
def sources() -> tuple[Path, ...]:
    return tuple(sorted((ROOT / "smki").rglob("*.py")))


@cache
def _calls_by_name() -> Mapping[str, list[tuple[Path, Place, ast.Call]]]:
    found: dict[str, list[tuple[Path, Place, ast.Call]]] = {}
    for path in sources():
        for place, call in calls(path):
            found.setdefault(_name_of(call), []).append((path, place, call))
    return found


@cache
def _imported_by(path: Path) -> frozenset[tuple[str, str]]:
    """Which names of which modules a module takes."""
    nodes = (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom))
    return frozenset((node.module or "", one.name) for node in nodes for one in node.names)


@cache
def calls(path: Path) -> tuple[tuple[Place, ast.Call], ...]:
    """Every call of a module, with the function it stands in."""
    found: list[tuple[Place, ast.Call]] = []

    def walk(node: ast.AST, place: Place) -> None:
        for one in ast.iter_child_nodes(node):
            if isinstance(one, ast.Call):
                found.append((place, one))
            walk(one, replace(place, node=one) if isinstance(one, Function) else place)

    walk(tree_of(path), Place(path, None))
    return tuple(found)


def _of_class(path: Path, place: Place, call: ast.Call) -> _Making | None:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    relative = str(path.relative_to(ROOT))
    if name not in _CLASSES or _IN.get(name, relative) != relative:
        return None
    given = dict(zip(_CLASSES[name], call.args, strict=False))
    given |= {one.arg: one.value for one in call.keywords if one.arg}
    if name in _WITHOUT and "remedy" not in given:
        given["remedy"] = ast.parse(_WITHOUT[name], mode="eval").body
    status = _STATUS.get(name)
    if isinstance(kind := given.get("kind"), ast.Name):
        status = _STATUS.get(kind.id)
    if "code" not in given or "remedy" not in given:
        return None
    parts = {str(one): _Part(value, place) for one, value in given.items() if one in _PARTS}
    return _Making(status, parts, Context(), relative, call.lineno)


def _passes_on(part: _Part, context: Context) -> bool:
    """Whether the code is another's: `error.code`."""
    value = context.bound(part.value, part.place)
    return isinstance(value, ast.Attribute) and value.attr == "code"


def _handed_on(making: _Making, free: Free) -> Iterator[_Making]:
    """The calls of the function whose parameters are in the words."""
    place = next(iter(free))[0]
    assert place.node is not None, "parameters are a function's"
    for path, caller, call in _calls_by_name().get(place.node.name, ()):
        if caller.node is place.node or (path != place.path and not _imports(path, place)):
            continue
        given = {**dict.fromkeys(place.parameters, _UNTOLD), **_arguments(place.node, call)}
        context = making.context.with_call(place, {name: (value, caller) for name, value in given.items()})
        relative = str(path.relative_to(ROOT))
        yield replace(making, context=context, module=relative, line=call.lineno, depth=making.depth + 1)


def _name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


@cache
def _imports(path: Path, place: Place) -> bool:
    """Whether a module knows the function: by its name, or by the class whose method it is."""
    assert place.node is not None, "asked of functions"
    names = {place.node.name}
    for node in ast.walk(tree_of(place.path)):
        if isinstance(node, ast.ClassDef) and place.node in node.body:
            names.add(node.name)
    module = ".".join(place.path.relative_to(ROOT).with_suffix("").parts)
    return any((module, name) in _imported_by(path) for name in names)


def _arguments(function: Function, call: ast.Call) -> dict[str, ast.expr]:
    """Which expression each parameter has in a call; what is not given has its default."""
    known = [*function.args.posonlyargs, *function.args.args]
    if known and known[0].arg in {"self", "cls"}:
        known = known[1:]
    found: dict[str, ast.expr] = {}
    defaults = function.args.defaults
    for one, value in zip(known[len(known) - len(defaults) :], defaults, strict=True) if defaults else ():
        found[one.arg] = value
    for only, other in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        if other is not None:
            found[only.arg] = other
    found |= {one.arg: value for one, value in zip(known, call.args, strict=False)}
    return found | {one.arg: one.value for one in call.keywords if one.arg}
