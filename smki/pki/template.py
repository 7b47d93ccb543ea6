"""Templates: the one path by which certificates are made.

A profile, an issuer and a subject compile once into fixed octets with holes. The octets come from a specimen built by
pyca's builder; the holes are found by what stands in them and proven by rebuilding random specimens through pyca and
comparing every octet. Issuing then only fills the holes, so each certificate is the specimen that was linted, but for
its holes, and the HSM is never kept waiting for a builder.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from smki.entity import EntityId, KeyUsage
from smki.errors import IntegrityFailure, InvalidInput, Refused
from smki.pki.contingency import WRAPPED_APEX_CONTINGENCY_KEY
from smki.pki.der import BIT_STRING, SEQUENCE, tlv
from smki.pki.keyid import KeyIdentifier, point_of
from smki.pki.kind import ExtensionName, Kind
from smki.pki.name import hardware_module_name
from smki.pki.profile import EXTENDED_USAGE, Profile
from smki.pki.serial import Serial
from smki.pki.signature import ECDSA_WITH_SHA256, OF_DATA, OF_DIGEST, holds
from smki.pki.usages import key_usage
from smki.pki.validity import TimeForm, Validity

Entropy = Callable[[int], bytes]
PROOFS = 8  # random specimens compared with pyca before a template may be used
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs: the name as it stands in the issuer's own certificate, and its key identifier."""

    name: x509.Name
    key_identifier: KeyIdentifier


@dataclass(frozen=True, slots=True)
class Draft:
    """All that a template fixes: everything in the certificate that is no hole."""

    profile: Profile
    issuer: Issuer | None
    """None where the certificate is signed by its own key."""
    subject: Callable[[EntityId | None], x509.Name]
    policies: tuple[x509.ObjectIdentifier, ...]
    forms: tuple[TimeForm, TimeForm]
    usage: KeyUsage | None = None
    """Of an end entity: the one thing its key is for."""
    contingency: bytes | None = None

    @property
    def has_entity(self) -> bool:
        return self.profile.kind in {Kind.ORGANISATION, Kind.DEVICE}


@dataclass(frozen=True, slots=True)
class Fields:
    """What stands in the holes."""

    serial: Serial
    validity: Validity
    public_key: ec.EllipticCurvePublicKey
    entity: EntityId | None = None


def draft(
    profile: Profile,
    *,
    issuer: Issuer | None,
    subject: Callable[[EntityId | None], x509.Name],
    policies: tuple[x509.ObjectIdentifier, ...],
    validity: Validity,
    usage: KeyUsage | None = None,
    contingency: bytes | None = None,
) -> Draft:
    """Hold the parts of a certificate against what its kind demands."""
    kind = profile.kind
    faults = {
        "a root signs itself, and only a root does": (issuer is None) != (kind is Kind.ROOT),
        "an authority has no end entity's key usage, an end entity has exactly one": (usage is None)
        != kind.is_authority,
        "the contingency key stands where the profile lists it, and only there": (contingency is not None)
        != profile.carries_contingency,
        "at least one certificate policy is asserted": not policies,
        "an infrastructure key only signs": kind in {Kind.INFRASTRUCTURE, Kind.RESPONDER}
        and usage is KeyUsage.KEY_AGREEMENT,
    }
    for rule, broken in faults.items():
        if broken:
            raise Refused("profile.parts", f"profile {profile.name}: {rule}", "correct what asks for it")
    check_lifetime(profile, validity)
    return Draft(profile, issuer, subject, policies, validity.forms, usage, contingency)


def check_lifetime(profile: Profile, validity: Validity) -> None:
    """Refuse a validity longer than the profile allows."""
    if profile.longest_years is None:
        return
    longest = Validity.years(validity.not_before.date(), profile.longest_years).not_after
    # Z1's XML signing certificates show that a begin later than midnight moves the end within the same day.
    if validity.not_after > longest + timedelta(days=1):
        raise Refused(
            "profile.lifetime",
            f"profile {profile.name}: valid until {validity.not_after:%Y-%m-%d}, and {longest:%Y-%m-%d} is the limit",
            f"ask for at most {profile.longest_years} years",
        )


@dataclass(frozen=True, slots=True)
class Dated:
    """A template whose dates are filled in: what is left is each certificate's own."""

    pieces: tuple[bytes, ...]
    holes: tuple[str, ...]

    def fill(self, serial: bytes, point: bytes, entity: bytes) -> bytes:
        """The octets to be signed; `entity` is empty where the profile has none."""
        values = {
            "serial": serial,
            "public_key": point,
            "key_identifier": KeyIdentifier.of_point(point).octets,
            "entity": entity,
        }
        first, *rest = self.pieces
        return first + b"".join([values[hole] + piece for hole, piece in zip(self.holes, rest, strict=True)])


@dataclass(frozen=True, slots=True)
class Template:
    """Fixed octets with holes; made only by `compile_template`."""

    draft: Draft
    pieces: tuple[bytes, ...]
    holes: tuple[str, ...]

    def dated(self, validity: Validity) -> Dated:
        """Fill in the dates, which many certificates share."""
        if validity.forms != self.draft.forms:
            raise InvalidInput(
                "template.dates", "these dates need another time form", "compile a template for this validity"
            )
        values = _dates(self.draft, validity)
        pieces, holes = [self.pieces[0]], []
        for hole, piece in zip(self.holes, self.pieces[1:], strict=True):
            if hole in values:
                pieces[-1] += values[hole] + piece
            else:
                holes.append(hole)
                pieces.append(piece)
        return Dated(tuple(pieces), tuple(holes))

    def fill(self, fields: Fields) -> bytes:
        """The octets to be signed."""
        if (fields.entity is not None) != self.draft.has_entity:
            raise InvalidInput("template.entity", "an EUI-64 is wanted, or not wanted", "see the profile")
        entity = b"" if fields.entity is None else fields.entity.octets
        return self.dated(fields.validity).fill(fields.serial.octets, point_of(fields.public_key), entity)


def compile_template(plan: Draft, entropy: Entropy) -> Template:
    """Build a specimen, find its holes, and prove them."""
    marked = _random_fields(plan, entropy)
    specimen = _build(plan, marked, entropy)
    found: list[tuple[int, str, int]] = []
    for hole, value in _hole_values(plan, marked).items():
        if specimen.count(value) != 1:
            raise IntegrityFailure(
                "template.hole", f"{hole} stands {specimen.count(value)} times in the specimen", "report this"
            )
        found.append((specimen.index(value), hole, len(value)))
    found.sort()
    pieces, end = [], 0
    for start, _, length in found:
        pieces.append(specimen[end:start])
        end = start + length
    pieces.append(specimen[end:])
    template = Template(plan, tuple(pieces), tuple(hole for _, hole, _ in found))
    for _ in range(PROOFS):
        fields = _random_fields(plan, entropy)
        if template.fill(fields) != _build(plan, fields, entropy):
            raise IntegrityFailure("template.proof", "a filled template differs from the builder's", "report this")
    return template


def assemble(to_be_signed: bytes, signature: bytes) -> bytes:
    """The certificate: what was signed, the algorithm, the DER signature (RFC 5280 4.1)."""
    return tlv(SEQUENCE, to_be_signed + ECDSA_WITH_SHA256 + tlv(BIT_STRING, b"\x00" + signature))


def sign(
    template: Template, fields: Fields, key: ec.EllipticCurvePrivateKey, issuer: ec.EllipticCurvePublicKey
) -> bytes:
    """Fill, sign, verify what came back with the issuer's public key, and assemble: the HSM is not believed."""
    to_be_signed = template.fill(fields)
    signature = key.sign(to_be_signed, OF_DATA)
    check_signature(signature, to_be_signed, issuer)
    return assemble(to_be_signed, signature)


def finish(to_be_signed: bytes, digest: bytes, plain: bytes, issuer: ec.EllipticCurvePublicKey) -> bytes:
    """The certificate from r and s as an HSM gives them for its digest, once they verify."""
    half = len(plain) // 2
    signature = encode_dss_signature(int.from_bytes(plain[:half]), int.from_bytes(plain[half:]))
    try:
        issuer.verify(signature, digest, OF_DIGEST)  # its form is the one that was just written
    except InvalidSignature:
        raise _wrong_signature() from None
    return assemble(to_be_signed, signature)


def check_signature(signature: bytes, data: bytes, key: ec.EllipticCurvePublicKey) -> None:
    """Refuse a signature that is not strict DER, or does not verify."""
    if not holds(signature, data, key):
        raise _wrong_signature()


def _wrong_signature() -> IntegrityFailure:
    return IntegrityFailure(
        "signature.wrong",
        "the HSM returned a signature that does not verify with the issuer's public key",
        "check the HSM with `smki hsm check`, and that the key is the one the certificate names",
    )


def _random_fields(plan: Draft, entropy: Entropy) -> Fields:
    secret = int.from_bytes(entropy(40)) % (_P256_ORDER - 1) + 1
    seconds = int.from_bytes(entropy(4))
    first = _moment(plan.forms[0], seconds)
    last = _moment(plan.forms[1], seconds + 1 + int.from_bytes(entropy(2)))
    if last <= first:
        last = _moment(plan.forms[1], 0xFFFFFFFF)
        first = _moment(plan.forms[0], seconds % 0xFFFFFF)
    return Fields(
        serial=Serial.from_entropy(entropy),
        validity=Validity(first, last),
        public_key=ec.derive_private_key(secret, ec.SECP256R1()).public_key(),
        entity=EntityId(entropy(8)) if plan.has_entity else None,
    )


def _moment(form: TimeForm, seconds: int) -> datetime:
    """A moment that is written in this form; seconds below 2^32 stay within it."""
    if form is TimeForm.UTC:
        return datetime(1950, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds % 3_100_000_000)
    return datetime(2050, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def _dates(plan: Draft, validity: Validity) -> dict[str, bytes]:
    return {
        "not_before": plan.forms[0].encode(validity.not_before),
        "not_after": plan.forms[1].encode(validity.not_after),
    }


def _hole_values(plan: Draft, fields: Fields) -> dict[str, bytes]:
    point = point_of(fields.public_key)
    values = _dates(plan, fields.validity) | {
        "serial": fields.serial.octets,
        "public_key": point,
        "key_identifier": KeyIdentifier.of_point(point).octets,
    }
    if fields.entity is not None:
        values["entity"] = fields.entity.octets
    return values


def _build(plan: Draft, fields: Fields, entropy: Entropy) -> bytes:
    """The same certificate by pyca's builder, signed with a key that is thrown away."""
    subject = plan.subject(fields.entity)
    builder = (
        x509.CertificateBuilder()
        .serial_number(fields.serial.number)
        .issuer_name(subject if plan.issuer is None else plan.issuer.name)
        .subject_name(subject)
        .not_valid_before(fields.validity.not_before)
        .not_valid_after(fields.validity.not_after)
        .public_key(fields.public_key)
    )
    for extension, critical in _extensions(plan, fields):
        builder = builder.add_extension(extension, critical)
    throwaway = ec.derive_private_key(int.from_bytes(entropy(40)) % (_P256_ORDER - 1) + 1, ec.SECP256R1())
    return builder.sign(throwaway, hashes.SHA256()).tbs_certificate_bytes


def _extensions(plan: Draft, fields: Fields) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """Each extension in the profile's order; which are critical is fixed here (GBCS 12; RFC 5280 4.2.1)."""
    kind = plan.profile.kind
    for name in plan.profile.extensions:
        match name:
            case "keyUsage" | "ocspNoCheck":
                yield _unchanging(plan, name)
            case "basicConstraints":
                yield x509.BasicConstraints(ca=True, path_length=kind.path_length), True
            case "extendedKeyUsage":
                yield x509.ExtendedKeyUsage(map(EXTENDED_USAGE.__getitem__, plan.profile.extended_usage)), False
            case "subjectAltName":
                yield _hardware_module_name(plan, fields), True  # critical, because the subject is empty
            case "certificatePolicies":
                yield x509.CertificatePolicies([x509.PolicyInformation(p, None) for p in plan.policies]), True
            case "subjectKeyIdentifier":
                yield x509.SubjectKeyIdentifier(KeyIdentifier.of(fields.public_key).octets), False
            case "authorityKeyIdentifier":
                assert plan.issuer is not None, "only a root lacks an issuer, and a root has no such extension"
                yield x509.AuthorityKeyIdentifier(plan.issuer.key_identifier.octets, None, None), False
            case "wrappedApexContingencyKey":
                assert plan.contingency is not None, "a draft has it where its profile lists it"
                yield x509.UnrecognizedExtension(WRAPPED_APEX_CONTINGENCY_KEY, plan.contingency), False


def _unchanging(plan: Draft, name: ExtensionName) -> tuple[x509.ExtensionType, bool]:
    """What no field changes."""
    return (x509.OCSPNoCheck(), False) if name == "ocspNoCheck" else (key_usage(plan.usage), True)


def _hardware_module_name(plan: Draft, fields: Fields) -> x509.SubjectAlternativeName:
    assert plan.profile.hardware_type is not None, "a device profile has one"
    assert fields.entity is not None, "a device has one"
    return x509.SubjectAlternativeName([hardware_module_name(plan.profile.hardware_type, fields.entity)])
