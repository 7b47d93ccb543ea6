"""What a key usage extension says, and what ours say (RFC 5280 4.2.1.3; GBCS 12)."""

from cryptography import x509

from smki.entity import KeyUsage

# Encipher only and decipher only say nothing without key agreement: who asks for them looks himself.
_NAMES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
_OF_PARTIES: dict[tuple[str, ...], KeyUsage] = {
    ("digital_signature",): KeyUsage.DIGITAL_SIGNATURE,
    ("key_agreement",): KeyUsage.KEY_AGREEMENT,
}


def usages_in(value: x509.KeyUsage) -> tuple[str, ...]:
    return tuple(name for name in _NAMES if getattr(value, name))


def one_usage(value: x509.KeyUsage) -> KeyUsage | None:
    """What the key of a device or an organisation is for: one thing, and nothing beside it (GBCS 12)."""
    return _OF_PARTIES.get(usages_in(value))


def key_usage(usage: KeyUsage | None) -> x509.KeyUsage:
    """Of an end entity the one thing its key is for; of an authority what every authority's is."""
    return x509.KeyUsage(
        digital_signature=usage is KeyUsage.DIGITAL_SIGNATURE,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=usage is KeyUsage.KEY_AGREEMENT,
        key_cert_sign=usage is None,
        crl_sign=usage is None,
        encipher_only=False,
        decipher_only=False,
    )
