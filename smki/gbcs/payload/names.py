"""The names of what payloads speak of, read from files: COSEM classes and objects, ZigBee clusters, code tables."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from smki.errors import InvalidInput
from smki.gbcs.payload.shape import Form, Shape, parse_shape
from smki.settings import Sourced, Table, read_toml

_LOGICAL_NAME = re.compile(r"\d{1,3}-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}")
_EMPTY: Mapping[int, str] = MappingProxyType({})
_MAX_ID = 0xFFFF

# What a hint may say besides the name of a table of words or of a shape.
HINTS = frozenset(
    {
        # of COSEM: what the object itself holds, what it points at, how octets read
        *("object", "obis", "class", "future-dated", "hex", "text", "eui64"),
        *("date-time", "activation", "date", "time", "utc"),
        # of ZigBee: fields of fixed sizes, strings, moments, what is left
        *("u8", "u16", "u24", "u32", "u48", "u64", "i8", "i16", "i32", "i32-or-unchanged", "map8", "map16", "map32"),
        *("string", "octets", "start", "zigbee-date", "event", "boolean", "rest"),
    }
)

K = TypeVar("K")
V = TypeVar("V")


class _ClassTable(Table, frozen=True):
    id: int
    """Its number in the Blue Book."""
    name: str
    """What it is called."""
    attributes: list[str] = []
    """Shapes of its attributes, from 2 on: attribute 1 is always the logical name."""
    methods: list[str] = []
    """Shapes of its methods, from 1 on."""


class _ClusterTable(Table, frozen=True):
    id: int
    """Its number."""
    name: str
    """What it is called."""
    attributes: dict[str, str] = {}
    """Shapes of its attributes, by number."""
    to_client: dict[str, str] = {}
    """Commands to the client, by number."""
    to_server: dict[str, str] = {}
    """Commands to the server, by number."""


class _File(Table, frozen=True):
    """What things in payloads are called: `names-cosem.toml` for DLMS COSEM, `names-zigbee.toml` for ZigBee. A
    part is written `name`, `name: hint`, `name(part, part)`, `name[element]`, or `name[count; element]`, where
    `hint` is a type, a table of words or a shape. What has no name is shown by its number; no name decides
    anything."""

    classes: list[_ClassTable] = []
    """COSEM interface classes."""
    objects: dict[str, str] = {}
    """COSEM objects by logical name, `A-B:C.D.E.F`."""
    shapes: dict[str, str] = {}
    """Shapes that several share, by name."""
    alerts: dict[str, str] = {}
    """Alerts by their code."""
    clusters: list[_ClusterTable] = []
    """ZigBee clusters."""
    words: dict[str, dict[str, str]] = {}
    """Tables of words: what a number in a payload means."""


@dataclass(frozen=True, slots=True)
class ClassNames:
    """A COSEM interface class (Blue Book 4): attributes from 2, methods from 1."""

    name: str
    attributes: tuple[Shape, ...] = ()
    methods: tuple[Shape, ...] = ()

    def attribute(self, number: int) -> Shape:
        return _numbered(self.attributes, number - 2, f"attribute {number}")

    def method(self, number: int) -> Shape:
        return _numbered(self.methods, number - 1, f"method {number}")


def _numbered(shapes: tuple[Shape, ...], index: int, otherwise: str) -> Shape:
    return shapes[index] if 0 <= index < len(shapes) else Shape(otherwise)


@dataclass(frozen=True, slots=True)
class ClusterNames:
    """A ZigBee cluster: attributes, and commands in each direction."""

    name: str
    attributes: Mapping[int, Shape]
    to_client: Mapping[int, Shape]
    to_server: Mapping[int, Shape]


@dataclass(frozen=True, slots=True)
class Names:
    """Everything there is a name for; what has none is told by its number."""

    classes: Mapping[int, ClassNames]
    objects: Mapping[str, Shape]
    shapes: Mapping[str, Shape]
    alerts: Mapping[int, Shape]
    clusters: Mapping[int, ClusterNames]
    words: Mapping[str, Mapping[int, str]]

    def merged(self, other: "Names") -> "Names":
        """Both; a name that both give is an error, so that no file silently overrules another."""
        return Names(
            _union(self.classes, other.classes),
            _union(self.objects, other.objects),
            _union(self.shapes, other.shapes),
            _union(self.alerts, other.alerts),
            _union(self.clusters, other.clusters),
            _union(self.words, other.words),
        )

    def cosem_class(self, number: int) -> ClassNames:
        return self.classes.get(number) or ClassNames(f"class {number}")

    def cluster(self, number: int) -> ClusterNames:
        nothing: Mapping[int, Shape] = MappingProxyType({})
        return self.clusters.get(number) or ClusterNames(f"cluster {number:#06x}", nothing, nothing, nothing)

    def word(self, table: str, number: int) -> str:
        """`2 (object unavailable)`, or the number alone."""
        word = self.words.get(table, _EMPTY).get(number)
        return f"{number} ({word})" if word else str(number)

    def resolved(self, shape: Shape, subject: Shape | None = None) -> Shape:
        """The shape its hint refers to, under its own name: one of `shapes`, or that of the object spoken of."""
        if shape.form is Form.LEAF and shape.hint == "object":
            shape = replace(subject, name=shape.name) if subject else replace(shape, hint="")
        other = self.shapes.get(shape.hint) if shape.form is Form.LEAF else None
        return replace(other, name=shape.name) if other else shape


def read_names(data: bytes, source: str) -> Sourced[Names]:
    """Turn the octets of the file called `source` into names."""
    file = read_toml(data, source, _File)
    tables = _Tables(source)
    read = file.value
    names = Names(
        MappingProxyType(tables.classes(read.classes)),
        MappingProxyType({tables.logical_name(key): tables.shape(text, key) for key, text in read.objects.items()}),
        MappingProxyType({key: tables.shape(text, key) for key, text in read.shapes.items()}),
        MappingProxyType(tables.numbered(read.alerts, "alerts")),
        MappingProxyType(tables.clusters(read.clusters)),
        MappingProxyType({key: MappingProxyType(tables.words(key, words)) for key, words in read.words.items()}),
    )
    tables.check_hints(names)
    return Sourced(names, file.source, file.sha256)


class _Tables:
    """Reads the tables of one file, and names it in what it refuses."""

    def __init__(self, source: str) -> None:
        self._source = source

    def shape(self, text: str, key: str) -> Shape:
        return parse_shape(text, f"{self._source}: {key}")

    def classes(self, tables: Iterable[_ClassTable]) -> dict[int, ClassNames]:
        return self._unique(
            (
                self._id(table.id),
                ClassNames(
                    table.name,
                    tuple(self.shape(text, f"{table.name}: attributes") for text in table.attributes),
                    tuple(self.shape(text, f"{table.name}: methods") for text in table.methods),
                ),
            )
            for table in tables
        )

    def clusters(self, tables: Iterable[_ClusterTable]) -> dict[int, ClusterNames]:
        return self._unique(
            (
                self._id(table.id),
                ClusterNames(
                    table.name,
                    MappingProxyType(self.numbered(table.attributes, table.name)),
                    MappingProxyType(self.numbered(table.to_client, table.name)),
                    MappingProxyType(self.numbered(table.to_server, table.name)),
                ),
            )
            for table in tables
        )

    def numbered(self, texts: Mapping[str, str], key: str) -> dict[int, Shape]:
        return self._unique(
            (self._number(number), self.shape(text, f"{key}: {number}")) for number, text in texts.items()
        )

    def words(self, key: str, words: Mapping[str, str]) -> dict[int, str]:
        if key in HINTS:
            raise self._refused(f"`{key}` is the name of a type, and cannot be that of a table of words")
        return self._unique((self._number(number), word) for number, word in words.items())

    def logical_name(self, text: str) -> str:
        if not _LOGICAL_NAME.fullmatch(text):
            raise self._refused(f"{text!r} is no logical name: write A-B:C.D.E.F")
        return text

    def check_hints(self, names: Names) -> None:
        shapes = [*names.objects.values(), *names.shapes.values(), *names.alerts.values()]
        for cosem in names.classes.values():
            shapes += [*cosem.attributes, *cosem.methods]
        for cluster in names.clusters.values():
            shapes += [*cluster.attributes.values(), *cluster.to_client.values(), *cluster.to_server.values()]
        known = HINTS | set(names.words) | set(names.shapes)
        for shape in shapes:
            for hint in {hint.partition("/")[0] for hint in shape.hints()} - known:
                raise self._refused(f"`{shape.name}`: `{hint}` is no type, table of words or shape of this file")

    def _id(self, number: int) -> int:
        if not 0 <= number <= _MAX_ID:
            raise self._refused(f"id {number} is not between 0 and {_MAX_ID}")
        return number

    def _number(self, text: str) -> int:
        try:
            number = int(text, 0)
        except ValueError:
            raise self._refused(f"{text!r} is no number") from None
        if not 0 <= number <= _MAX_ID:
            raise self._refused(f"{text} is not between 0 and {_MAX_ID}")
        return number

    def _unique(self, pairs: Iterable[tuple[int, V]]) -> dict[int, V]:
        found: dict[int, V] = {}
        for number, value in pairs:
            if number in found:
                raise self._refused(f"{number:#x} is named twice")
            found[number] = value
        return found

    def _refused(self, what: str) -> InvalidInput:
        return InvalidInput("names.table", f"{self._source}: {what}", "mend the table of names")


def _union(one: Mapping[K, V], other: Mapping[K, V]) -> Mapping[K, V]:
    twice = one.keys() & other.keys()
    if twice:
        raise InvalidInput(
            "names.twice", f"named in both files: {', '.join(sorted(map(str, twice)))}", "keep each name in one file"
        )
    return MappingProxyType({**one, **other})
