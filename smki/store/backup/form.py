"""The form of a backup. Pure.

    smki-backup/1\\n            then blocks, each
    LENGTH                     of the content, four octets, most significant first
    CONTENT                    one octet that says of what kind, then msgpack
    DIGEST                     SHA-256 of all octets of the file before it

The first block is the header, the last says how many rows each table has, those between hold rows. So a changed
octet is found in the block it stands in, before anything is read out of that block, and a reader needs memory for
one block. The digest of the whole file is what `sha256sum` prints.
"""

import hashlib
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO, Final, Literal, get_args

import msgspec
from msgspec import Meta

from smki.errors import IntegrityFailure, InvalidInput
from smki.store.merkle import HASH_OCTETS
from smki.store.note import MAX_NOTE_OCTETS
from smki.store.schema import tables_at
from smki.store.tables import Kind, Table

FORM: Final = "smki-backup/1"
MAGIC = f"{FORM}\n".encode()
MAX_BLOCK_OCTETS = 1 << 27  # the largest row there can be is a request to change supplier, of 64 MiB
MAX_SCHEMA = 1000
_LENGTH_OCTETS = 4
_HEADER, _ROWS, _END = b"h", b"r", b"e"


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose store it is, at which moment."""

    form: Literal["smki-backup/1"] = FORM
    schema: Annotated[int, Meta(ge=1, le=MAX_SCHEMA)]
    workspace: Annotated[bytes, Meta(min_length=16, max_length=16)]
    made_at: Annotated[int, Meta(ge=0, le=253402300799)]
    log_size: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
    log_root: Annotated[bytes, Meta(min_length=HASH_OCTETS, max_length=HASH_OCTETS)]
    checkpoint: Annotated[str, Meta(max_length=MAX_NOTE_OCTETS)] | None
    tables: dict[str, list[str]]
    """The columns of each, in the order of its rows."""

    @property
    def origin(self) -> str:
        """The log's name."""
        return f"smki/{self.workspace.hex()}"


class _Rows(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    table: str
    rows: msgspec.Raw


class _End(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    rows: dict[str, int]


_encode = msgspec.msgpack.Encoder().encode
_read_header = msgspec.msgpack.Decoder(Header).decode
_read_rows = msgspec.msgpack.Decoder(_Rows).decode
_read_end = msgspec.msgpack.Decoder(_End).decode
_KINDS: dict[Kind, Any] = {
    "smallint": Annotated[int, Meta(ge=-(1 << 15), le=(1 << 15) - 1)],
    "bigint": Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)],
    "text": str,
    "octets": bytes,
}
assert set(_KINDS) == set(get_args(Kind)), "every kind of column can be written"


def kept_tables(version: int) -> dict[str, Table]:
    """What a backup holds of a version of the schema: all but the tree above the log, which its entries give."""
    return {name: table for name, table in tables_at(version).items() if name != "audit_node"}


def rows_decoder(table: Table) -> "msgspec.msgpack.Decoder[list[tuple[Any, ...]]]":
    """How the rows of a table are read: each value of its column's kind, or nothing at all."""
    kinds = [
        _KINDS[kind] if name not in table.optional else _KINDS[kind] | None for name, kind in table.columns.items()
    ]
    return msgspec.msgpack.Decoder(list[tuple[tuple(kinds)]])  # type: ignore[misc]


class Writer:
    """Writes one backup into a file, a block at a time."""

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._decoders = {name: rows_decoder(table) for name, table in kept_tables(header.schema).items()}
        self._counts = dict.fromkeys(header.tables, 0)
        self._put(MAGIC)
        self._block(_HEADER + _encode(header))

    def rows(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        """Some rows of a table, after those before them; what a reader would refuse is not written."""
        encoded = _encode(rows)
        try:
            self._decoders[table].decode(encoded)
        except msgspec.ValidationError as error:
            raise IntegrityFailure(
                "store.damaged", f"table {table} holds what does not belong there: {error}", "restore from a backup"
            ) from None
        self._block(_ROWS + _encode(_Rows(table, msgspec.Raw(encoded))))
        self._counts[table] += len(rows)

    def end(self) -> dict[str, int]:
        self._block(_END + _encode(_End(self._counts)))
        return self._counts

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def _block(self, content: bytes) -> None:
        if len(content) > MAX_BLOCK_OCTETS:
            raise IntegrityFailure("backup.row", f"rows of {len(content)} octets", "report this")
        self._put(len(content).to_bytes(_LENGTH_OCTETS))
        self._put(content)
        self._put(self._digest.digest())

    def _put(self, octets: bytes) -> None:
        self._digest.update(octets)
        self._file.write(octets)


class Reader:
    """Reads a backup from a file: header first, then rows, then that it is whole."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._at = 0
        if self._take(len(MAGIC)) != MAGIC:
            raise InvalidInput("backup.form", "this is no backup of ours", "name a file of `smki store backup`")
        kind, content = self._block()
        if kind != _HEADER:
            raise self._fault("no header")
        self.header: Header = self._checked(_read_header, content)
        self._tables = kept_tables(self.header.schema)

    @property
    def read(self) -> int:
        """Octets so far."""
        return self._at

    @property
    def sha256(self) -> str:
        """Of all that was read."""
        return self._digest.hexdigest()

    def rows(self) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        """Every table's rows, in the order of the header; at the end the file is proven whole."""
        if {name: list(table.columns) for name, table in self._tables.items()} != self.header.tables:
            raise self._fault(f"its tables are not those of schema {self.header.schema}")
        decoders = {name: rows_decoder(table).decode for name, table in self._tables.items()}
        counts, order = dict.fromkeys(self._tables, 0), list(self._tables)
        place = 0
        while (block := self._block())[0] == _ROWS:
            part = self._checked(_read_rows, block[1])
            if part.table not in order[place:]:
                raise self._fault(f"rows of {part.table[:40]!r} where none belong")
            place = order.index(part.table)
            rows = self._checked(decoders[part.table], part.rows)
            counts[part.table] += len(rows)
            yield part.table, rows
        if block[0] != _END or self._checked(_read_end, block[1]).rows != counts:
            raise self._fault("it does not hold the rows it says")
        if self._file.read(1):
            raise self._fault("more follows after its end")

    def _block(self) -> tuple[bytes, memoryview]:
        length = int.from_bytes(self._take(_LENGTH_OCTETS))
        if not 0 < length <= MAX_BLOCK_OCTETS:
            raise self._fault(f"a block of {length} octets")
        content = self._take(length)
        wanted = self._digest.digest()
        if self._take(HASH_OCTETS) != wanted:
            raise self._fault("a block is not the one that was written")
        return content[:1], memoryview(content)[1:]

    def _take(self, count: int) -> bytes:
        octets = self._file.read(count)
        if len(octets) != count:
            raise self._fault("it ends too early")
        self._digest.update(octets)
        self._at += count
        return octets

    def _checked(self, decode: Any, octets: Any) -> Any:
        try:
            return decode(octets)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._fault("a block does not hold what it should") from None

    def _fault(self, reason: str) -> IntegrityFailure:
        return IntegrityFailure(
            "backup.damaged",
            f"the backup is damaged near octet {self._at}: {reason}",
            "use another copy, or an older",
        )
