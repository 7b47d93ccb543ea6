"""Certificate profiles: what a file may vary, inside what the code holds.

A profile's kind fixes all that security rests on: which extensions there are, which are critical, the key usage,
whether it is an authority and how far it reaches, the form of the subject. The file gives the extensions' order, the
longest validity, the hardware type, and words for people. So no file can make an authority out of a meter.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from msgspec import Meta

from smki.errors import InvalidInput, Refused
from smki.pki.kind import ExtensionName, Kind
from smki.pki.oid import parse_oid
from smki.settings import Sourced, Table, read_toml

ExtendedUsage = Literal["clientAuth", "serverAuth", "emailProtection", "OCSPSigning"]
EXTENDED_USAGE = {
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "OCSPSigning": ExtendedKeyUsageOID.OCSP_SIGNING,
}


class _ProfileFile(Table, frozen=True):
    """A certificate profile: what a file may vary, inside what the code holds. Its kind fixes all that security
    rests on: which extensions there are, which are critical, the key usage, how far an authority reaches, the
    form of the subject."""

    title: str
    """What such certificates are for, for people."""
    kind: Kind
    """What it may be at most: no file makes an authority out of a meter."""
    extensions: list[ExtensionName]
    """Exactly those of the kind, in the order wanted; a root may add `wrappedApexContingencyKey`."""
    longest_years: Annotated[int, Meta(ge=1)] | None = None
    """The longest validity: 50 years at most for authorities, 10 for end entities; none for devices, whose
    certificates do not end."""
    hardware_type: str | None = None
    """Of devices: the hwType of RFC 4108, an OID."""
    extended_usage: list[ExtendedUsage] = []
    """Of infrastructure: what its holders do beside what the key usage says."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile that passed every check; nothing unchecked has this type."""

    name: str
    title: str
    kind: Kind
    extensions: tuple[ExtensionName, ...]
    longest_years: int | None
    hardware_type: x509.ObjectIdentifier | None
    extended_usage: tuple[ExtendedUsage, ...]

    @property
    def carries_contingency(self) -> bool:
        return "wrappedApexContingencyKey" in self.extensions


def read_profile(data: bytes, source: str) -> Sourced[Profile]:
    """Read a profile's file and hold it against the limits of its kind."""
    read = read_toml(data, source, _ProfileFile)
    file = read.value
    name = source.rpartition("/")[2].removesuffix(".toml")
    _check_extensions(file, source)
    _check_years(file, source)
    if (file.hardware_type is not None) != (file.kind is Kind.DEVICE):
        raise Refused(
            "profile.hardware-type",
            f"{source}: key `hardware_type` belongs to device profiles, and each has one",
            "add or remove it: it is the hwType of RFC 4108 in the subjectAltName",
        )
    _check_extended_usage(file, source)
    hardware = file.hardware_type and parse_oid(file.hardware_type, f"{source}: key `hardware_type`")
    profile = Profile(
        name=name,
        title=file.title,
        kind=file.kind,
        extensions=tuple(file.extensions),
        longest_years=file.longest_years,
        hardware_type=hardware or None,
        extended_usage=tuple(file.extended_usage),
    )
    return Sourced(profile, read.source, read.sha256)


def _check_extensions(file: _ProfileFile, source: str) -> None:
    listed = set(file.extensions)
    if file.kind is Kind.ROOT:
        listed -= {"wrappedApexContingencyKey"}
    wrong = sorted(listed ^ file.kind.extensions)
    if wrong or len(set(file.extensions)) != len(file.extensions):
        raise Refused(
            "profile.extensions",
            f"{source}: key `extensions`: wrong or missing: {', '.join(wrong) or 'one is listed twice'}",
            f"list each of these once, in the order wanted: {', '.join(sorted(file.kind.extensions))}",
        )


def _check_extended_usage(file: _ProfileFile, source: str) -> None:
    if bool(file.extended_usage) != (file.kind in {Kind.INFRASTRUCTURE, Kind.RESPONDER}):
        raise Refused(
            "profile.extended-usage",
            f"{source}: key `extended_usage` belongs to infrastructure profiles, and each has at least one",
            "add or remove it: devices know no extendedKeyUsage",
        )
    # Whoever has this usage speaks for the authority (RFC 6960 4.2.2.2): its own kind, with nothing beside it.
    responder = file.kind is Kind.RESPONDER
    if responder != ("OCSPSigning" in file.extended_usage) or (responder and len(file.extended_usage) > 1):
        raise Refused(
            "profile.extended-usage",
            f"{source}: key `extended_usage`: OCSPSigning is a responder's, and a responder has no other",
            "keep responders and others apart, a profile each",
        )


def _check_years(file: _ProfileFile, source: str) -> None:
    if file.kind is Kind.DEVICE:
        if file.longest_years is not None:
            raise Refused(
                "profile.years",
                f"{source}: key `longest_years`: a device certificate has no end",
                "remove the key",
            )
    elif file.longest_years is None:
        raise InvalidInput("settings.missing-key", f"{source}: key `longest_years` is missing", "add it")
    elif file.longest_years > file.kind.longest_years:
        raise Refused(
            "profile.years",
            f"{source}: key `longest_years` = {file.longest_years}, and the code holds {file.kind.longest_years}",
            f"ask for {file.kind.longest_years} or fewer",
        )
