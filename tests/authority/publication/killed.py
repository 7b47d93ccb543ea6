"""Publishes lists until it dies."""

from datetime import UTC, datetime
from pathlib import Path

from pkilint.loader import load_crl  # noqa: F401 - what linting imports when it is first done is imported here
from pkilint.pkix import crl  # noqa: F401

from smki.authority.publication.act import publish_lists
from tests.house import opened

NAME = "dca-issuing-1"


def publish_on(home: Path) -> None:
    """One list after the other."""
    house = opened(home, lambda: datetime.now(UTC))
    while True:
        faults = publish_lists(house.workspace, (NAME,), even_if_not_due=True).faults
        assert not faults, faults


def publish_due(home: Path) -> None:
    """What is due."""
    house = opened(home, lambda: datetime.now(UTC))
    faults = publish_lists(house.workspace, (NAME,)).faults
    assert not faults, faults
