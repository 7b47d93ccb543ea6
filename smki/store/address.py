"""Which database an address names."""

from pathlib import Path

from smki.errors import InvalidInput
from smki.store.engine import Engine


def open_engine(url: str, *, create: bool) -> Engine:
    """The engine an address names; a SQLite file is made only where `create` says so."""
    # Each engine is imported when it is the one: a command that reads a SQLite file pays for nothing else.
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        from smki.store.sqlite import SqliteEngine

        return SqliteEngine(Path(rest), create=create)
    if scheme == "postgresql":
        from smki.store.postgresql import PostgresqlEngine

        return PostgresqlEngine(url)
    raise InvalidInput(
        "store.url", f"no store is reached by {scheme[:20]!r}", "use sqlite:PATH or postgresql://HOST/DATABASE"
    )
