"""The workspace of tests/authority serves here too."""

from tests.authority.conftest import empty, house

__all__ = ["empty", "house"]
