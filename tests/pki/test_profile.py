"""Profile files: strict, and never above what the code holds."""

import pytest

from smki.errors import SmkiError
from smki.pki.profile import read_profile
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
