"""A file's keys, as its strict reader has them: name, kind of value, bounds, default, and what it means."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import inspect as kinds

from scripts.references.sources import Undocumented, class_doc, field_docs

_SIMPLE = {
    kinds.BoolType: "true or false",
    kinds.DateTimeType: "moment",
    kinds.DateType: "date",
    kinds.BytesType: "base64",
    kinds.AnyType: "anything",
}


@dataclass(frozen=True)
class Key:
    """One key of a table."""

    name: str
    value: str
    otherwise: str
    """What holds without it."""
    meaning: str


@dataclass(frozen=True)
class Section:
    """One table of a file: where it stands in it, what it is, its keys."""

    place: str
    about: str
    keys: tuple[Key, ...]


def sections(kind: Any, toml: bool = True) -> Iterator[Section]:
    """Every table of a file that is read as `kind`: the file's own keys first."""
    yield from _sections(kinds.type_info(kind), "", toml)


def structs(kind: Any) -> Iterator[type]:
    """Every class that reading `kind` may make."""
    yield from _structs(kinds.type_info(kind))


def _structs(info: kinds.Type) -> Iterator[type]:
    if isinstance(info, kinds.StructType):
        yield info.cls
        for field in info.fields:
            yield from _structs(field.type)
    for inner in _inner(info):
        yield from _structs(inner)


def _inner(info: kinds.Type) -> tuple[kinds.Type, ...]:
    match info:
        case kinds.UnionType(types=types):
            return tuple(types)
        case kinds.DictType(key_type=_, value_type=value):
            return (value,)
        case kinds.ListType(item_type=item) | kinds.VarTupleType(item_type=item):
            return (item,)
        case kinds.Metadata(type=inner):
            return (inner,)
        case _:
            return ()


def _sections(info: kinds.Type, place: str, toml: bool) -> Iterator[Section]:
    match info:
        case kinds.Metadata(type=inner):
            yield from _sections(inner, place, toml)
        case kinds.StructType():
            yield from _table(info, place, toml, ())
        case kinds.UnionType(types=types):
            members = [one for one in types if isinstance(one, kinds.StructType)]
            if len(members) > 1:
                yield from _alternatives(members, place, toml)
            else:
                for one in members:
                    yield from _sections(one, place, toml)
        case kinds.ListType(item_type=item):
            yield from _sections(item, f"{place}[]", toml)
        case kinds.DictType(value_type=value):
            yield from _sections(value, f"{place}.{_placeholder(place)}".lstrip("."), toml)
        case _:
            pass


def _alternatives(members: list[kinds.StructType], place: str, toml: bool) -> Iterator[Section]:
    """Tables of one place that differ in their `kind`: what all have first, then what each has besides."""
    base = next(one for one in members[0].cls.__mro__[1:] if all(issubclass(other.cls, one) for other in members))
    shared = {field.encode_name for field in members[0].fields} & set(getattr(base, "__struct_encode_fields__", ()))
    if shared:
        common = [field for field in members[0].fields if field.encode_name in shared]
        tags = ", ".join(f"`{one.tag}`" for one in members)
        kind = Key(members[0].tag_field or "kind", tags, "required", "which of those below")
        keys = (kind, *(_key(members[0].cls, field) for field in common))
        yield Section(_words(place, toml), class_doc(base), keys)
        for field in common:
            yield from _sections(field.type, _below(place, field), toml)
    for one in members:
        yield from _table(one, place, toml, tuple(shared))


def _table(info: kinds.StructType, place: str, toml: bool, told: tuple[str, ...]) -> Iterator[Section]:
    own = [field for field in info.fields if field.encode_name not in told]
    words = _words(place, toml)
    if info.tag is not None:
        words = f'{words} with `{info.tag_field} = "{info.tag}"`'.strip()
    keys = tuple(_key(info.cls, field) for field in own)
    yield Section(words, class_doc(info.cls), keys)
    for field in own:
        yield from _sections(field.type, _below(place, field), toml)


def _key(kind: type, field: kinds.Field) -> Key:
    meaning = field_docs(kind).get(field.name)
    if not meaning:
        raise Undocumented(
            f"{kind.__module__}.{kind.__qualname__}: say what `{field.name}` is, in a string beneath it"
        )
    return Key(field.encode_name, value_words(field.type), _otherwise(field), " ".join(meaning.split()))


def _otherwise(field: kinds.Field) -> str:
    if field.required:
        return "required"
    value = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
    if value is None or value in ("", [], {}, ()):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def value_words(info: kinds.Type) -> str:
    """What may stand there."""
    if type(info) in _SIMPLE:
        return _SIMPLE[type(info)]
    match info:
        case kinds.Metadata(type=inner):
            return str((info.extra_json_schema or {}).get("description") or value_words(inner))
        case kinds.IntType() | kinds.FloatType():
            return _number(info)
        case kinds.StrType():
            return _text(info)
        case kinds.LiteralType(values=values):
            return _one_of([str(value) for value in values])
        case kinds.EnumType(cls=enum):
            return _one_of([str(member.value) for member in enum])
        case _:
            return _of_many(info)


def _of_many(info: kinds.Type) -> str:
    """Words for what holds others."""
    match info:
        case kinds.UnionType(types=types):
            named = dict.fromkeys(value_words(one) for one in types if not isinstance(one, kinds.NoneType))
            return " or ".join(named)
        case kinds.ListType(item_type=item) | kinds.VarTupleType(item_type=item):
            return f"list of {_many(value_words(item))}{_count(info)}"
        case kinds.DictType(value_type=value):
            return f"table of {_many(value_words(value))}"
        case kinds.StructType():
            return "table"
        case _:
            raise Undocumented(f"no words for {info}")


def _one_of(words: list[str]) -> str:
    """Few by `or`, many as a list."""
    told = [f"`{word}`" for word in words]
    return " or ".join(told) if len(told) < 4 else f"one of {', '.join(told)}"


def _number(info: kinds.IntType | kinds.FloatType) -> str:
    word = "number" if isinstance(info, kinds.IntType) else "number with a point"
    least = info.ge if info.ge is not None else None if info.gt is None else f"above {info.gt}"
    most = info.le if info.le is not None else None if info.lt is None else f"below {info.lt}"
    if least is not None and most is not None:
        return f"{_digits(least)} to {_digits(most)}"
    if least is not None:
        return f"{word}, {_digits(least)} or more"
    return f"{word}, {_digits(most)} at most" if most is not None else word


def _digits(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)


def _text(info: kinds.StrType) -> str:
    if info.pattern is not None:
        pattern = info.pattern.replace("|", "\\|")
        return f"text like `{pattern}`"
    return f"text, {info.max_length} characters at most" if info.max_length is not None else "text"


def _count(info: Any) -> str:
    least, most = getattr(info, "min_length", None), getattr(info, "max_length", None)
    if most is not None:
        return f", {f'{least} to {_digits(most)}' if least else f'{_digits(most)} at most'}"
    return f", {least} or more" if least else ""


def _many(word: str) -> str:
    return {"table": "tables", "number": "numbers", "text": "texts"}.get(word, word)


def _below(place: str, field: kinds.Field) -> str:
    return f"{place}.{field.encode_name}".lstrip(".")


def _placeholder(place: str) -> str:
    """`kinds` are told by KIND, `hierarchies` by HIERARCHY."""
    last = place.rpartition(".")[2].replace("-", "_").upper()
    if last.endswith("IES"):
        return f"{last[:-3]}Y"
    return last[:-1] if last.endswith("S") else "NAME"


def _words(place: str, toml: bool) -> str:
    """Where a table stands, as it is written there."""
    if not place:
        return ""
    if not toml:
        return f"`{place}`"
    bare = place.replace("[]", "")
    return f"`[[{bare}]]`" if place.endswith("[]") else f"`[{bare}]`"
