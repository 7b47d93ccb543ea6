"""Refreshes a public folder until it dies."""

from datetime import UTC, datetime
from pathlib import Path

from smki.authority.publication.site import refresh_site
from tests.house import opened


def refresh_on(home: Path) -> None:
    """Again and again; the time goes on, so that there is always something to write."""
    house = opened(home, lambda: datetime.now(UTC))
    while True:
        refresh_site(house.workspace)
