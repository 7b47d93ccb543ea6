"""What a table of the schema is, and what one step adds."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["smallint", "bigint", "text", "octets"]


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns, its primary key, which columns may be null."""

    columns: dict[str, Kind]
    key: tuple[str, ...]
    optional: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What one version of the schema adds to the one before it."""

    tables: dict[str, Table]
    indexes: tuple[str, ...] = ()
    of_certificates: tuple[str, ...] = ()
    """Columns that certificates gain; their type for octets has another name in each engine."""
