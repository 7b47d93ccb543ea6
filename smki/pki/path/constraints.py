"""Name constraints (RFC 5280 4.2.1.10): which names lie in which subtree, form by form."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from cryptography import x509

from smki.pki.path.names import DistinguishedName
from smki.pki.path.structure import fault

_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")
_Value = str | DistinguishedName | IPv4Address | IPv6Address | IPv4Network | IPv6Network | None


class Form(Enum):
    """The forms of a general name; those without a rule here can be had, but not together with a constraint."""

    DIRECTORY = "directoryName"
    DNS = "dNSName"
    MAIL = "rfc822Name"
    URI = "uniformResourceIdentifier"
    ADDRESS = "iPAddress"
    REGISTERED = "registeredID"
    OTHER = "otherName"


@dataclass(frozen=True, slots=True)
class Constrained:
    """A name, or the base of a subtree of names."""

    form: Form
    value: _Value

    def __str__(self) -> str:
        shown = str(self.value)[:80].encode("ascii", "backslashreplace").decode()
        return f"{self.form.value} {shown}"


def general_name(name: x509.GeneralName) -> Constrained:
    """A name as it stands in a certificate."""
    match name:
        case x509.DirectoryName():
            return Constrained(Form.DIRECTORY, DistinguishedName.of(name.value))
        case x509.DNSName():
            return Constrained(Form.DNS, name.value)
        case x509.RFC822Name():
            return Constrained(Form.MAIL, name.value)
        case x509.UniformResourceIdentifier():
            return Constrained(Form.URI, name.value)
        case x509.IPAddress():
            return Constrained(Form.ADDRESS, name.value)
        case x509.RegisteredID():
            return Constrained(Form.REGISTERED, None)
        case _:
            return Constrained(Form.OTHER, None)


def read_constraint(name: x509.GeneralName) -> Constrained:
    """The base of a subtree, refused if it is not of its form: what cannot be understood must not be ignored."""
    base = general_name(name)
    match base.form, base.value:
        case Form.DNS, str(text):
            fits = not text or _is_host(text)
        case Form.URI, str(text):
            fits = not text or _is_host(text.removeprefix("."))
        case Form.MAIL, str(text):
            fits = not text or (_is_mailbox(text) if "@" in text else _is_host(text.removeprefix(".")))
        case Form.ADDRESS, _:
            fits = isinstance(base.value, IPv4Network | IPv6Network)
        case _:
            fits = True
    if not fits:
        raise fault("form", f"a name constraint that is not of its form, {base} (RFC 5280 4.2.1.10)")
    return base


def violations(
    names: Sequence[Constrained],
    permitted: Sequence[Sequence[Constrained]],
    excluded: Sequence[Constrained],
    spend: Callable[[int], None],
) -> Iterator[str]:
    """Which names RFC 5280 6.1.3(b) and (c) refuse, in words.

    Each certificate that states permitted subtrees adds a set: a name must lie in one of each set that has its form.
    That is the intersection of 6.1.4(g), without ever computing it.
    """
    for name in names:
        spend(sum(map(len, permitted)) + len(excluded))
        for bases in permitted:
            of_form = [base for base in bases if base.form is name.form]
            if of_form and not any(_lies_in(name, base) for base in of_form):
                yield f"{name} lies in no permitted subtree (RFC 5280 6.1.3(b))"
        if any(_touches(name, base) for base in excluded if base.form is name.form):
            yield f"{name} lies in an excluded subtree (RFC 5280 6.1.3(c))"


def _lies_in(name: Constrained, base: Constrained) -> bool:
    """Surely within: what cannot be decided is not."""
    return _compare(name, base) is True


def _touches(name: Constrained, base: Constrained) -> bool:
    """Perhaps within: what cannot be decided is. A wildcard touches every name that it could stand for."""
    if name.form is Form.DNS and isinstance(name.value, str) and isinstance(base.value, str):
        parent = name.value.lower().removeprefix("*.")
        if parent != name.value.lower() and _in_domain(base.value, parent):
            return True
    return _compare(name, base) is not False


def _compare(name: Constrained, base: Constrained) -> bool | None:
    """Whether a name lies in the subtree of a base of the same form; None if that cannot be said."""
    match name.form, name.value, base.value:
        case Form.DIRECTORY, DistinguishedName() as found, DistinguishedName() as wanted:
            return found.is_within(wanted)
        case Form.DNS, str(text), str(domain):
            return _in_domain(text, domain) if _is_host(text.lower().removeprefix("*.")) else None
        case Form.MAIL, str(text), str(wanted):
            return _mail(text, wanted) if _is_mailbox(text) else None
        case Form.URI, str(text), str(wanted):
            host = _uri_host(text)
            return None if host is None else _in_host(host, wanted)
        case Form.ADDRESS, (IPv4Address() | IPv6Address()) as address, (IPv4Network() | IPv6Network()) as network:
            return address in network
        case _:
            return None


def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text.lower()) is not None


def _is_mailbox(text: str) -> bool:
    local, at, host = text.partition("@")
    return bool(local and at) and _is_host(host)


def _labels(text: str) -> str:
    return text.lower().removesuffix(".")


def _in_domain(text: str, domain: str) -> bool:
    """Labels may be added on the left, none or more."""
    return not domain or _labels(text) == _labels(domain) or _labels(text).endswith(f".{_labels(domain)}")


def _in_host(text: str, wanted: str) -> bool:
    """A leading full stop means every host below, and without it just this host."""
    return not wanted or (
        _labels(text).endswith(_labels(wanted)) if wanted[0] == "." else _labels(text) == _labels(wanted)
    )


def _mail(text: str, wanted: str) -> bool:
    local, _, host = text.partition("@")
    if "@" not in wanted:
        return _in_host(host, wanted)
    wanted_local, _, wanted_host = wanted.partition("@")
    return local == wanted_local and _labels(host) == _labels(wanted_host)


def _uri_host(text: str) -> str | None:
    """The host of a URI's authority; a URI without one, or with an address, cannot be judged (4.2.1.10)."""
    try:
        host = urlsplit(text).hostname
    except ValueError:
        return None
    if not host or not _is_host(host):
        return None
    try:
        ip_address(host)
    except ValueError:
        return host
    return None
