"""What a key usage extension says, as names (RFC 5280 4.2.1.3)."""

from cryptography import x509

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


def usages_in(value: x509.KeyUsage) -> tuple[str, ...]:
    return tuple(name for name in _NAMES if getattr(value, name))
