"""A device's own keys: a new pair and its request, the certificate for it, the one in use (CS02c, CS02d, CS02e).

The old key serves until the new certificate is stored. A second request of a usage gives up the pair of the first.
"""

from dataclasses import replace

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.done import Done
from smki.device.state import DeviceKeys, DeviceState
from smki.device.update import MAX_CERTIFICATE_OCTETS
from smki.entity import KeyUsage
from smki.errors import InvalidInput
from smki.gbcs.payload.credentials import (
    CertificateCode,
    CertificateCommand,
    CodeResponse,
    OwnKeyCommand,
    OwnKeyResponse,
    ProvideCode,
    RequestCode,
)
from smki.gbcs.payload.declared import (
    DIGITAL_SIGNATURE,
    KEY_AGREEMENT,
    element,
    element_octets,
    read_declared,
    write_declared,
)
from smki.pki.chain import profile_faults
from smki.pki.holder import holder, load_certificate
from smki.pki.keyid import point_of
from smki.pki.kind import Kind
from smki.pki.path import PathCertificate
from smki.pki.usages import key_usage, one_usage


def _usage(payload: bytes) -> KeyUsage | None:
    bits = read_declared(OwnKeyCommand, payload).payload.key_usage
    if bits == DIGITAL_SIGNATURE:
        return KeyUsage.DIGITAL_SIGNATURE
    return KeyUsage.KEY_AGREEMENT if bits == KEY_AGREEMENT else None


def _number(code: int) -> bytes:
    return write_declared(CodeResponse(payload=code))


# CS02c


def make_request(state: DeviceState, keys: DeviceKeys, payload: bytes) -> Done:
    """A new pair, kept until its certificate comes; and a request for one, signed by it."""
    usage = _usage(payload)
    if usage is None:
        return Done(state, _number(RequestCode.INVALID_KEY_USAGE))
    if usage not in state.own:
        return Done(state, _number(RequestCode.CERTIFICATION_REQUEST_PRODUCTION_FAILED))
    pair = keys.make()
    own = load_certificate(state.own[usage], "the device's own certificate")
    name = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(key_usage(usage), critical=True)
        .add_extension(name, critical=True)
        .sign(pair, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    made = replace(keys, asked={**keys.asked, usage: pair})
    answer = write_declared(OwnKeyResponse(payload=element(request)))
    return Done(state, answer, (f"made a pair for {usage.value}, and asks for its certificate",), made)


# CS02d


def install(state: DeviceState, keys: DeviceKeys, payload: bytes) -> Done:
    """Take a certificate for the pair that waits, and only then give up the one in use."""
    der = element_octets(read_declared(CertificateCommand, payload).payload)
    usage = _judge(state, keys, der)
    if isinstance(usage, CertificateCode):
        return Done(state, _number(usage), (f"keeps its keys: {usage.words}",))
    pair = keys.asked[usage]
    asked = {other: key for other, key in keys.asked.items() if other is not usage}
    keys.secrets.forget()
    signs = usage is KeyUsage.DIGITAL_SIGNATURE
    signing, agreement = (pair, keys.agreement) if signs else (keys.signing, pair)
    changed = replace(keys, signing=signing, agreement=agreement, asked=asked)
    network = state.network if signs else state.network.without_secrets()  # what was agreed with the old key is over
    after = replace(state, own={**state.own, usage: der}, network=network)
    return Done(after, _number(CertificateCode.SUCCESS), (f"uses its new key for {usage.value}",), changed)


def _judge(state: DeviceState, keys: DeviceKeys, der: bytes) -> KeyUsage | CertificateCode:
    """What its key is for, or what is wrong with it, in the order of the codes.

    A device holds no path to its own authority, so that is not checked.
    """
    if len(der) > MAX_CERTIFICATE_OCTETS:
        return CertificateCode.INVALID_CERTIFICATE
    try:
        read = PathCertificate.read(der)
        bits = read.value(x509.KeyUsage)
        usage = None if bits is None else one_usage(bits)
        if usage is None:
            return CertificateCode.INVALID_KEY_USAGE
        who = holder(load_certificate(der, "a certificate"), "a certificate")
    except InvalidInput:
        return CertificateCode.INVALID_CERTIFICATE
    if who.role is not None or who.entity != state.device:
        return CertificateCode.WRONG_DEVICE_IDENTITY
    if usage not in keys.asked:
        return CertificateCode.NO_CORRESPONDING_KEY_PAIR_GENERATED
    if read.point != point_of(keys.asked[usage].public_key()):
        return CertificateCode.WRONG_PUBLIC_KEY
    if any(profile_faults(read, Kind.DEVICE, usage)):
        return CertificateCode.INVALID_CERTIFICATE
    return usage


# CS02e


def provide(state: DeviceState, payload: bytes) -> bytes:
    """The certificate in use, as the response's payload."""
    usage = _usage(payload)
    if usage is None:
        return _number(ProvideCode.INVALID_KEY_USAGE)
    held = state.own.get(usage)
    if held is None:
        return _number(ProvideCode.NO_CERTIFICATE_HELD)
    return write_declared(OwnKeyResponse(payload=element(held)))
