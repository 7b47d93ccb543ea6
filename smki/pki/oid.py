"""Object identifiers as files write them."""

import re

from cryptography import x509

from smki.errors import InvalidInput

_FORM = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,38})){1,32}")


def parse_oid(text: str, where: str) -> x509.ObjectIdentifier:
    """Read dotted decimal; `where` says which file and key it stands in."""
    if _FORM.fullmatch(text):
        try:
            return x509.ObjectIdentifier(text)
        except ValueError:
            pass
    raise InvalidInput("settings.oid", f"{where}: {text[:60]!r} is not an OID", "write it as 1.2.826.0.1 is written")
