"""Profile files: strict, and never above what the code holds."""

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from smki.errors import SmkiError
from smki.pki.kind import Kind
from smki.pki.profile import EXTENDED_USAGE, read_profile
from tests.pki.hierarchy import FOLDER

ORGANISATION = (FOLDER / "organisation.toml").read_text(encoding="utf-8")
DEVICE = (FOLDER / "device.toml").read_text(encoding="utf-8")
RESPONDER = (FOLDER / "ocsp-responder.toml").read_text(encoding="utf-8")
OFFICER = (FOLDER / "officer.toml").read_text(encoding="utf-8")
ROOT = (FOLDER / "root-oca.toml").read_text(encoding="utf-8")


@pytest.mark.requirement("R-LAY-4")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        (ORGANISATION + 'colour = "red"\n', "settings.unknown-key"),
        (ORGANISATION.replace('title = "', 'titel = "'), "settings.unknown-key"),
        (ORGANISATION.replace("longest_years = 10", 'longest_years = "ten"'), "settings.value"),
        (ORGANISATION.replace("longest_years = 10", "longest_years = 11"), "profile.years"),
        (ORGANISATION.replace("longest_years = 10", "longest_years = 0"), "settings.value"),
        (ORGANISATION.replace("longest_years = 10", ""), "settings.missing-key"),
        (ORGANISATION.replace('kind = "organisation"', 'kind = "root"'), "profile.extensions"),
        (ORGANISATION.replace('"keyUsage",', '"keyUsage", "basicConstraints",'), "profile.extensions"),
        (ORGANISATION.replace('"certificatePolicies",', ""), "profile.extensions"),
        (ORGANISATION.replace('"keyUsage",', '"keyUsage", "keyUsage",'), "profile.extensions"),
        (ORGANISATION.replace('"keyUsage",', '"keyUsages",'), "settings.value"),
        (ORGANISATION + 'extended_usage = ["clientAuth"]\n', "profile.extended-usage"),
        (OFFICER.replace('"clientAuth"', '"OCSPSigning"'), "profile.extended-usage"),
        (RESPONDER.replace('"OCSPSigning"', '"clientAuth"'), "profile.extended-usage"),
        (RESPONDER.replace('"OCSPSigning"', '"OCSPSigning", "clientAuth"'), "profile.extended-usage"),
        (RESPONDER.replace('"ocspNoCheck",', ""), "profile.extensions"),
        (RESPONDER.replace("longest_years = 1", "longest_years = 2"), "profile.years"),
        (DEVICE.replace("1.2.826.0.1.8641679.1.2.2.1", "1.2.826.x"), "settings.oid"),
        (DEVICE.replace("1.2.826.0.1.8641679.1.2.2.1", "9.1.1"), "settings.oid"),
        (DEVICE + "longest_years = 5\n", "profile.years"),
        (ROOT.replace("longest_years = 50", "longest_years = 51"), "profile.years"),
        ("kind = [", "settings.syntax"),
        ("#" * (1 << 21), "settings.size"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_key(text: str, code: str) -> None:
    with pytest.raises(SmkiError) as refusal:
        read_profile(text.encode(), "profiles/wrong.toml")
    assert refusal.value.code == code
    assert "wrong.toml" in refusal.value.message
    assert refusal.value.remedy


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (DEVICE.replace("hardware_type", "# hardware_type"), "profile.hardware-type"),
        (ORGANISATION + 'hardware_type = "1.2.3"\n', "profile.hardware-type"),
        (OFFICER.replace("extended_usage", "# extended_usage"), "profile.extended-usage"),
        (RESPONDER.replace("extended_usage", "# extended_usage"), "profile.extended-usage"),
        (OFFICER.replace('"clientAuth"', '"clientAuth", "OCSPSigning"'), "profile.extended-usage"),
        (ORGANISATION.replace('"keyUsage",', '"keyUsage", "wrappedApexContingencyKey",'), "profile.extensions"),
        (
            ROOT.replace('"wrappedApexContingencyKey",', '"wrappedApexContingencyKey", "wrappedApexContingencyKey",'),
            "profile.extensions",
        ),
        (ROOT.replace('"basicConstraints",', ""), "profile.extensions"),
    ],
)
def test_what_belongs_to_another_kind_is_refused(text: str, code: str) -> None:
    with pytest.raises(SmkiError) as refusal:
        read_profile(text.encode(), "profiles/wrong.toml")
    assert refusal.value.code == code


def test_a_profile_is_what_its_file_says() -> None:
    device = read_profile(DEVICE.encode(), "profiles/device.toml").value
    assert (device.name, device.kind, device.longest_years, device.extended_usage) == (
        "device",
        Kind.DEVICE,
        None,
        (),
    )
    assert device.hardware_type == x509.ObjectIdentifier("1.2.826.0.1.8641679.1.2.2.1")
    assert device.extensions == (
        "keyUsage", "subjectKeyIdentifier", "subjectAltName", "certificatePolicies", "authorityKeyIdentifier",
    )  # fmt: skip
    officer = read_profile(OFFICER.encode(), "officer.toml").value
    assert (officer.name, officer.longest_years, officer.hardware_type) == ("officer", 3, None)
    assert officer.extended_usage == ("clientAuth", "emailProtection")
    assert officer.title == "An officer who approves and requests"


def test_a_root_has_a_contingency_key_if_its_file_says_so() -> None:
    """And as long a life as its kind may have."""
    without = ROOT.replace('"wrappedApexContingencyKey",', "")
    for text, carries in ((ROOT, True), (without, False)):
        root = read_profile(text.encode(), "profiles/root.toml").value
        assert (root.carries_contingency, root.longest_years) == (carries, 50)


@pytest.mark.parametrize(
    ("word", "oid"),
    [
        ("clientAuth", ExtendedKeyUsageOID.CLIENT_AUTH),
        ("serverAuth", ExtendedKeyUsageOID.SERVER_AUTH),
        ("emailProtection", ExtendedKeyUsageOID.EMAIL_PROTECTION),
        ("OCSPSigning", ExtendedKeyUsageOID.OCSP_SIGNING),
    ],
)
def test_a_purpose_is_written_as_a_word(word: str, oid: x509.ObjectIdentifier) -> None:
    assert EXTENDED_USAGE[word] == oid
    if word != "OCSPSigning":
        text = OFFICER.replace('"clientAuth", "emailProtection"', f'"{word}"')
        assert read_profile(text.encode(), "officer.toml").value.extended_usage == (word,)
