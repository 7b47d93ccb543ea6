"""What a caller asks of a path, and what is answered."""

from dataclasses import dataclass, replace
from enum import Enum

from cryptography import x509

from smki.pki.path.certificate import PathCertificate, TrustAnchor
from smki.pki.path.crl import PathCrl
from smki.pki.verdict import Fault

ANY_POLICY = x509.ObjectIdentifier("2.5.29.32.0")
DEFAULT_DEPTH = 8  # GBCS has one intermediate; the longest NIST test has four that count


class Rule(Enum):
    """What section 4 tells CAs and section 6 does not check; each can be asked for."""

    SERIAL = "serial"
    CRITICAL = "critical"
    SUBJECT_KEY = "subject-key"
    AUTHORITY_KEY = "authority-key"
    CONSTRAINTS = "constraints"
    USAGE = "usage"
    TARGET = "target-not-authority"
    NAMES = "names"
    ONLY_AUTHORITIES = "only-authorities"
    PURPOSE = "purpose"
    UNIQUE_IDS = "unique-ids"
    CRL_NUMBER = "crl-number"


CONFORMANCE = frozenset(Rule)


@dataclass(frozen=True, slots=True)
class Options:
    """The inputs of RFC 5280 6.1.1, and what applications may ask besides."""

    initial_policies: frozenset[x509.ObjectIdentifier] = frozenset({ANY_POLICY})
    explicit_policy: bool = False
    inhibit_mapping: bool = False
    inhibit_any: bool = False
    max_depth: int = DEFAULT_DEPTH  # intermediates that are not self-issued
    extended_key_usage: x509.ObjectIdentifier | None = None
    # Time-based checks are off where a command says so (GBCS 13.3, applyTimeBasedCPVChecks); those of CRLs never.
    disapply_time: bool = False
    # With CRLs, the status of every certificate must be known (RFC 5280 6.1.3(a)(3)); with None, none is asked.
    crls: tuple[PathCrl, ...] | None = None
    crl_signers: tuple[PathCertificate, ...] = ()
    conformance: frozenset[Rule] = frozenset()

    def for_crl_signer(self) -> "Options":
        """For the path of a CRL's signer: any policy and use, and it may be an authority."""
        return replace(
            self,
            initial_policies=frozenset({ANY_POLICY}),
            explicit_policy=False,
            extended_key_usage=None,
            conformance=self.conformance - {Rule.TARGET},
        )


@dataclass(frozen=True, slots=True)
class ValidPath:
    """A path that broke no rule: from below the anchor down to the target, and the policies it is valid for."""

    anchor: TrustAnchor
    certificates: tuple[PathCertificate, ...]
    policies: frozenset[x509.ObjectIdentifier]


@dataclass(frozen=True, slots=True)
class InvalidPath:
    """Every rule that the most promising path broke."""

    faults: tuple[Fault, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(fault.code for fault in self.faults)


_REMEDIES = {
    "expired": "have it replaced; or check the clock",
    "not-yet-valid": "wait until it is valid; or check the clock",
    "signature": "do not use it: it is not what its issuer signed",
    "no-anchor": "give the certificates between it and a trust anchor, and the right trust anchor",
    "revoked": "do not use it: have it replaced",
    "no-crl": "fetch the CRLs of its issuer",
    "crl-stale": "fetch the issuer's present CRL",
    "budget": "give only the certificates of the path",
}


def broken(code: str, message: str) -> Fault:
    """A fault of a path, with what to do about it."""
    return Fault(f"path.{code}", message, _REMEDIES.get(code, "do not use it: have it made again by its issuer"))
