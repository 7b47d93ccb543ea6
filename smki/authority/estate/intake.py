"""Taking rows in: CSV with a header, or JSON lines, bounded, and read from outside exactly once.

A row is names and texts; what they mean is for the one who asked. A wrong line stops nothing here: it goes into the
report, with its number and a code, and the caller sees that there was one.
"""

import csv
import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO

import msgspec

from smki.errors import InvalidInput, Refused, Unavailable
from smki.store.estate_records import Tally

MAX_LINE_OCTETS = 8192
MAX_COLUMNS = 64
MAX_FIELD = 200
MAX_FILES = 100  # in one import: an entry of the log names them all
MAX_WRONG = 1000  # that a report tells one by one; the rest it counts
CHUNK = 5000  # rows under one entry of the log

_decode = msgspec.json.Decoder(dict[str, str | None]).decode
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line that cannot be taken, and why."""

    file: str
    line: int
    code: str
    message: str


@dataclass(slots=True)
class Report:
    """What came of an import: everything was taken, or nothing."""

    rows: int = 0
    tally: Tally = field(default_factory=Tally)
    wrong: list[Wrong] = field(default_factory=list)
    wrong_count: int = 0
    files: list[str] = field(default_factory=list)
    """SHA-256 of each."""

    def refuse(self, place: tuple[str, int], code: str, message: str) -> None:
        self.wrong_count += 1
        if len(self.wrong) < MAX_WRONG:
            self.wrong.append(Wrong(*place, code, message))

    def entry(self, chunk: Sequence[Any], tally: Tally) -> dict[str, Any]:
        """What the log says of a chunk that was written."""
        return {
            "files": self.files,
            "rows": len(chunk),
            "added": tally.added,
            "changed": tally.changed,
            "unchanged": tally.unchanged,
            "digest": digest(chunk),
        }


@dataclass(frozen=True, slots=True)
class Columns:
    """What may stand in a row."""

    required: frozenset[str]
    is_known: Callable[[str], bool]


Fields = Mapping[str, str]
Place = tuple[str, int]
"""A file and a line of it."""


class Spool:
    """Rows between being read and being written: in a file without a name, so that a million need no memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, row: Sequence[Any]) -> None:
        packed = _pack(row)
        self._file.write(len(packed).to_bytes(4) + packed)

    def chunks(self) -> Iterator[list[list[Any]]]:
        self._file.seek(0)
        chunk: list[list[Any]] = []
        while head := self._file.read(4):
            chunk.append(_unpack(self._file.read(int.from_bytes(head))))
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk


def digest(rows: Sequence[Any]) -> str:
    """What a log entry says was written."""
    return hashlib.sha256(_pack(rows)).hexdigest()


@contextmanager
def spooled(folder: Path) -> Iterator[Spool]:
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed below
    except OSError as error:
        raise Unavailable("intake.spool", f"{folder}: {error.strerror}", "make room there") from None
    with file:
        yield Spool(file)


def take_in(
    paths: Sequence[Path], columns: Columns, largest: int, report: Report, parse: Callable[[Fields, Place], None]
) -> None:
    """Read every row of every file and hand it to `parse`, which raises InvalidInput where it is wrong."""
    if len(paths) > MAX_FILES:
        raise Refused("intake.files", f"{len(paths)} files", f"at most {MAX_FILES} in one import")
    for path in paths:
        sha256 = hashlib.sha256()
        with _opened(path) as file:
            for line, fields in _rows(_lines(file, sha256.update), path.name, columns, report):
                report.rows += 1
                if report.rows > largest:
                    raise Refused("intake.count", f"more than {largest} rows", "import them in several files")
                place = (path.name, line)
                try:
                    parse(fields, place)
                except InvalidInput as error:
                    report.refuse(place, error.code, error.message)
        report.files.append(sha256.hexdigest())
    if not report.rows and not report.wrong_count:
        raise InvalidInput("intake.empty", "there is no row to import", "name files of CSV or JSON lines")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise InvalidInput("intake.unreadable", f"{path}: {error.strerror}", "name what can be read") from None


def _lines(file: BinaryIO, seen: Callable[[bytes], None]) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number; None stands for one that is too long, which is passed over piece by piece."""
    number = 0
    while data := file.readline(MAX_LINE_OCTETS):
        seen(data)
        number += 1
        whole = data.endswith(b"\n") or len(data) < MAX_LINE_OCTETS
        yield number, data if whole else None
        while not whole and (rest := file.readline(MAX_LINE_OCTETS)):
            seen(rest)
            whole = rest.endswith(b"\n")


def _rows(
    lines: Iterator[tuple[int, bytes | None]], name: str, columns: Columns, report: Report
) -> Iterator[tuple[int, Fields]]:
    header: list[str] | None = None
    for number, data in lines:
        try:
            text = _text(data).strip()
            if not text:
                continue
            if header is None and text.startswith("{"):
                header = []  # JSON lines: each row names its own
            if header == []:
                yield number, _json_row(text, columns)
            elif header is None:
                header = _header(text, columns)
            else:
                yield number, _csv_row(text, header)
        except InvalidInput as error:
            report.refuse((name, number), error.code, error.message)
            if header is None:
                return  # a file whose header is wrong says nothing of its rows


def _text(data: bytes | None) -> str:
    if data is None:
        raise _wrong(f"it is longer than {MAX_LINE_OCTETS} octets")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _wrong("it is not UTF-8") from None


def _header(text: str, columns: Columns) -> list[str]:
    header = _cells(text)
    if len(set(header)) != len(header):
        raise InvalidInput("intake.column", "a column stands twice", "name each once")
    _check_columns(frozenset(header), columns)
    return header


def _check_columns(names: frozenset[str], columns: Columns) -> None:
    if len(names) > MAX_COLUMNS:
        raise InvalidInput("intake.column", f"{len(names)} columns", f"at most {MAX_COLUMNS}")
    for name in sorted(names):
        if not columns.is_known(name):
            raise InvalidInput("intake.column", f"column {name[:40]!r} is not known", "leave it out")
    if missing := columns.required - names:
        raise InvalidInput("intake.column", f"column {', '.join(sorted(missing))} is missing", "add it")


def _cells(text: str) -> list[str]:
    try:
        cells = next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise _wrong(f"it is not CSV ({error})") from None
    return [cell.strip() for cell in cells]


def _csv_row(text: str, header: Sequence[str]) -> Fields:
    cells = _cells(text)
    if len(cells) != len(header):
        raise _wrong(f"it has {len(cells)} fields, and the header {len(header)}")
    return _bounded(dict(zip(header, cells, strict=True)))


def _json_row(text: str, columns: Columns) -> Fields:
    try:
        row = _decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise _wrong("it is not a JSON object of texts") from None
    _check_columns(frozenset(row), columns)
    return _bounded({name: (value or "").strip() for name, value in row.items()})


def _bounded(fields: Fields) -> Fields:
    for name, value in fields.items():
        if len(value) > MAX_FIELD or not value.isprintable():
            raise _wrong(f"{name}: more than {MAX_FIELD} characters, or some that do not print")
    return fields


def _wrong(reason: str) -> InvalidInput:
    return InvalidInput("intake.line", f"the line cannot be read: {reason}", "mend the line")
