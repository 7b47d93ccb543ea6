"""Shapes: how the parts of a value are called, written in the tables of names in a small notation.

name                 a value
name: hint           a value, and how to write it: a type, a table of words, or another shape
name: hint?          one that may be absent at the end of what it is in
name(part, part)     a structure
name[element]        any number of elements
name[count; element] as many as the earlier part `count` says; `count & 15` takes its low four bits
"""

import re
from dataclasses import dataclass
from enum import Enum

from smki.errors import InvalidInput

_TOKEN = re.compile(r"\s*([^\s,:;?&()\[\]][^,:;?&()\[\]]*|[,:;?&()\[\]])")
_MAX_DEPTH = 8


class Form(Enum):
    LEAF = "leaf"
    STRUCTURE = "structure"
    ARRAY = "array"


@dataclass(frozen=True, slots=True)
class Count:
    """How often an element comes: what the earlier part of that name says, under a mask."""

    part: str
    mask: int


@dataclass(frozen=True, slots=True)
class Shape:
    """How one value is called, and its parts."""

    name: str
    hint: str = ""
    form: Form = Form.LEAF
    parts: tuple["Shape", ...] = ()
    optional: bool = False
    count: Count | None = None

    def hints(self) -> frozenset[str]:
        """Every hint within."""
        own = frozenset({self.hint} - {""})
        return own.union(*(part.hints() for part in self.parts))


def parse_shape(text: str, source: str) -> Shape:
    """Read one shape; `source` names the file and key it stands in."""
    reader = _Reader(text, source)
    shape = reader.shape(0)
    reader.finish()
    return shape


class _Reader:
    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._text = text
        self._tokens: list[str] = []
        at, text = 0, text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            assert found is not None, "every character is a token or part of one"
            self._tokens.append(found[1].strip())
            at = found.end()
        self._tokens.reverse()

    def shape(self, depth: int) -> Shape:
        name = self._word()
        if depth > _MAX_DEPTH:
            self._fail("nested too deep")
        if self._follows("("):
            return Shape(name, form=Form.STRUCTURE, parts=self._parts(depth))
        if self._follows("["):
            return self._array(name, depth)
        hint = self._word() if self._follows(":") else ""
        return Shape(name, hint, optional=self._follows("?"))

    def finish(self) -> None:
        if self._tokens:
            self._fail(f"{self._tokens[-1]!r} is too much")

    def _parts(self, depth: int) -> tuple[Shape, ...]:
        parts = [self.shape(depth + 1)]
        while self._follows(","):
            parts.append(self.shape(depth + 1))
        self._need(")")
        return tuple(parts)

    def _array(self, name: str, depth: int) -> Shape:
        count = self._count()
        element = self.shape(depth + 1)
        self._need("]")
        return Shape(name, form=Form.ARRAY, parts=(element,), count=count)

    def _count(self) -> Count | None:
        if len(self._tokens) < 2 or self._tokens[-2] not in {";", "&"}:
            return None
        part, mask = self._word(), 0xFF
        if self._follows("&"):
            digits = self._word()
            mask = int(digits) if digits.isdecimal() else self._fail(f"{digits!r} is no mask")
        self._need(";")
        return Count(part, mask)

    def _word(self) -> str:
        if not self._tokens or self._tokens[-1] in set(",:;?&()[]"):
            self._fail("a name is missing")
        return self._tokens.pop()

    def _follows(self, sign: str) -> bool:
        if self._tokens and self._tokens[-1] == sign:
            self._tokens.pop()
            return True
        return False

    def _need(self, sign: str) -> None:
        if not self._follows(sign):
            self._fail(f"{sign!r} is missing")

    def _fail(self, what: str) -> int:
        raise InvalidInput(
            "names.shape",
            f"{self._source}: {self._text!r}: {what}",
            "write name, name: hint, name(part, ...) or name[element]",
        )
