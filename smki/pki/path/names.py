"""Distinguished names, compared as RFC 5280 7.1 says and not octet by octet."""

import unicodedata
from dataclasses import dataclass, field
from typing import Self

from cryptography import x509
from cryptography.x509.oid import NameOID

Attribute = tuple[str, int, str | bytes]  # type, tag (nought for text, whose string type does not matter), value
_SPACE = {"\t", "\n", "\v", "\f", "\r", "\x85"}


def fold(text: str) -> str:
    """Text prepared for comparison (RFC 4518 2.2 to 2.6): case, white space and invisible characters do not count.

    Wider than need be on purpose: two names that look alike to a person must not pass an excluded subtree.
    """
    mapped = "".join(" " if c in _SPACE else c for c in text)
    seen = "".join(c for c in mapped if unicodedata.category(c) not in {"Cc", "Cf"})
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
    return " ".join(plain.split())


@dataclass(frozen=True, slots=True)
class DistinguishedName:
    """A sequence of RDNs, each a set of attributes; equal if RFC 5280 7.1 calls them the same name."""

    rdns: tuple[frozenset[Attribute], ...]
    text: str = field(compare=False)

    @classmethod
    def of(cls, name: x509.Name) -> Self:
        rdns = tuple(frozenset(_attribute(attribute) for attribute in rdn) for rdn in name.rdns)
        return cls(rdns, ", ".join(_shown(attribute) for attribute in name) or "(empty)")

    @property
    def is_empty(self) -> bool:
        return not self.rdns

    def is_within(self, base: "DistinguishedName") -> bool:
        """Whether this name lies in the subtree of `base`: it begins with all of its RDNs (RFC 5280 4.2.1.10)."""
        return self.rdns[: len(base.rdns)] == base.rdns

    def under(self, relative: x509.RelativeDistinguishedName) -> "DistinguishedName":
        """With one more RDN: a name relative to the issuer of a CRL (RFC 5280 4.2.1.13)."""
        last = frozenset(_attribute(attribute) for attribute in relative)
        return DistinguishedName((*self.rdns, last), f"{self.text} and one RDN more")

    def __str__(self) -> str:
        return self.text


def email_addresses(name: x509.Name) -> tuple[str, ...]:
    """The addresses in a subject, to which constraints on rfc822Name apply as well (RFC 5280 4.2.1.10)."""
    found = (attribute.value for attribute in name.get_attributes_for_oid(NameOID.EMAIL_ADDRESS))
    return tuple(value for value in found if isinstance(value, str))


def _attribute(attribute: "x509.NameAttribute[str | bytes]") -> Attribute:
    value = attribute.value
    if isinstance(value, str):
        return attribute.oid.dotted_string, 0, fold(value)
    return attribute.oid.dotted_string, attribute._type.value, value


def _shown(attribute: "x509.NameAttribute[str | bytes]") -> str:
    value = attribute.value if isinstance(attribute.value, str) else attribute.value.hex()
    return f"{attribute.rfc4514_attribute_name}={value[:64]!s}".encode("ascii", "backslashreplace").decode()
