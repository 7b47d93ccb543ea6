"""The self-test: can this module do what SMKI needs, and by which means. It leaves nothing behind in the token."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from smki.hsm.token import Token

ECDSA, ECDSA_SHA256, ECDH1_DERIVE, EC_KEY_PAIR_GEN = 0x1041, 0x1044, 0x1050, 0x1040
AES_GCM, AES_GMAC = 0x1087, 0x108E
Outcome = Literal["ok", "fallback", "missing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing asked of a module, and the answer."""

    check: str
    outcome: Outcome
    words: str


def self_test(token: "Token", mechanisms: list[int]) -> tuple[Finding, ...]:
    """Try each thing with keys that live only as long as the session."""
    made, signs, agrees = token.try_out()
    offered = set(mechanisms)
    return (
        _finding("P-256 key that cannot leave", made, "made, sensitive and never extractable"),
        _finding("signature over a SHA-256 digest", signs, "CKM_ECDSA, verified with the public key"),
        _finding("key agreement", agrees, "CKM_ECDH1_DERIVE, the same secret as in software"),
        _alternative(
            "hash and sign at once", ECDSA_SHA256 in offered, "CKM_ECDSA_SHA256", "hashed on the host, then CKM_ECDSA"
        ),
        _alternative(
            "MAC in the module",
            AES_GMAC in offered,
            "CKM_AES_GMAC",
            "AES-GMAC as AES-GCM of nothing"
            if AES_GCM in offered
            else "AES-GMAC on the host, from the agreed secret",
        ),
    )


def _finding(check: str, works: bool, words: str) -> Finding:
    return Finding(check, "ok" if works else "missing", words if works else f"does not work: wanted {words}")


def _alternative(check: str, offered: bool, words: str, instead: str) -> Finding:
    return Finding(check, "ok" if offered else "fallback", words if offered else f"not offered: {instead}")
