"""Which of an issuer's certificates a revocation list speaks of (RFC 5280 5.2.5). Pure."""

from enum import Enum


class Scope(Enum):
    """The value is the word in a policy file."""

    ALL = "all"
    AUTHORITIES = "authorities"
    END_ENTITIES = "end-entities"
