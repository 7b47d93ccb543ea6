"""What can be compromised, and what may be done about it: one row for each case.

Which methods there are for which key is a reading of the recovery procedure's contents (hypotheses); that a root is
replaced by the contingency alone, unless the present one proves it, is the standard's (GBCS 13.3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from smki.entity import KeyUsage, RemotePartyRole
from smki.pki.holder import Holder

Method = Literal["1", "2", "3", "contingency"]
Tier = Literal["root", "issuing"]
_ROLE = RemotePartyRole
_USERS = frozenset({_ROLE.SUPPLIER, _ROLE.NETWORK_OPERATOR, _ROLE.LOAD_CONTROLLER, _ROLE.WAN_PROVIDER})
METHODS: Mapping[Method, str] = {
    "1": "the subscriber replaces its own certificates, signing with a key that was not compromised",
    "2": "the recovery key puts the access control broker's certificates into the cells, to be handed over later",
    "3": "the recovery key puts new certificates into the cells",
    "contingency": "the contingency key replaces the root, and every certificate beneath it",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of compromise."""

    word: str
    methods: tuple[Method, ...]
    completion: str
    """What CS02a must tell of a device before it counts as recovered."""
    roles: frozenset[RemotePartyRole] = frozenset()
    """Whose certificates can be affected; empty: an authority's."""
    usages: frozenset[KeyUsage] = frozenset()
    tier: Tier | None = None

    def concerns(self, one: Holder) -> bool:
        """Whether an end entity's certificate can be affected so."""
        return one.role in self.roles and one.usage in self.usages


_DS, _KA = frozenset({KeyUsage.DIGITAL_SIGNATURE}), frozenset({KeyUsage.KEY_AGREEMENT})
_NEW = "each affected cell names a new key"
_ALL = "every cell names a certificate under the new root"
_OTHER_ROOT = "the root cell names a root with other contingency keys"


def _of(role: RemotePartyRole) -> frozenset[RemotePartyRole]:
    return frozenset({role})


_ROWS = (
    Case("organisation signing key", ("2", "3"), _NEW, _USERS, _DS),
    Case("organisation key agreement key", ("1", "2", "3"), _NEW, _USERS, _KA),
    Case("recovery key", ("3", "contingency"), _NEW, _of(_ROLE.RECOVERY), _DS),
    Case("contingency key", ("3",), _OTHER_ROOT, tier="root"),
    Case("contingency symmetric key", ("3",), _OTHER_ROOT, tier="root"),
    Case("issuing OCA key", ("1", "3"), _NEW, tier="issuing"),
    Case("root OCA key", ("contingency",), _ALL, tier="root"),
    Case("CoS key", ("3",), _NEW, _of(_ROLE.TRANSITIONAL_COS), _DS),
    Case("broker key", ("3",), _NEW, _of(_ROLE.ACCESS_CONTROL_BROKER), _DS | _KA),
)
CASES: Mapping[str, Case] = {case.word: case for case in _ROWS}
