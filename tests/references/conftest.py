"""The workspace of tests/authority serves here too."""

from tests.authority.conftest import complete, empty, house, standing

__all__ = ["complete", "empty", "house", "standing"]
