"""The file may ask for less, and never for more than the code holds."""

import pytest

from smki.authority.ocsp.policy import OcspFile, OcspPolicy
from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.errors import SmkiError
from smki.settings import read_toml

POLICIES = load_policies(SHIPPED / "policies")
TEXT = (SHIPPED / "policies" / "ocsp.toml").read_text()


def read(text: str) -> OcspPolicy:
    return read_toml(text.encode(), "ocsp.toml", OcspFile).value.checked(POLICIES.profiles, POLICIES.hierarchies)


def test_the_shipped_file_is_read() -> None:
    assert read(TEXT) == POLICIES.ocsp
    assert read(TEXT.replace('"infrastructure"]', '"infrastructure", "device"]')).hierarchies == set(
        POLICIES.hierarchies
    )


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('"infrastructure"]', '"elsewhere"]', "policy.no-hierarchy"),
        ('profile = "ocsp-responder"', 'profile = "officer"', "policy.no-profile"),
        ('profile = "ocsp-responder"', 'profile = "none"', "policy.no-profile"),
        ("days = 30", "days = 366", "policy.ocsp"),
        ("renew = 10", "renew = 30", "policy.ocsp"),
        ('valid = "12h"', 'valid = "8d"', "policy.stretch"),
        ('valid = "12h"', 'valid = "59s"', "policy.stretch"),
        ('valid = "12h"', 'valid = "soon"', "policy.stretch"),
        ('refresh = "6h"', 'refresh = "12h"', "policy.stretch"),
        ('http_cache = "5m"', 'http_cache = "2h"', "policy.stretch"),
        ("ahead = 2_000", "ahead = 200_000", "settings.value"),
        ("kept = 50_000", "kept = 3_999", "policy.ocsp"),
        ("request = 4_096", "request = 100_000", "settings.value"),
        ("certificates = 16", "certificates = 1_000", "settings.value"),
        ('patience = "5s"', 'patience = "5m"', "policy.stretch"),
        ('idle = "30s"', 'idle = "1h"', "policy.stretch"),
        ("[limits]", "[limits]\ncolour = 1", "settings.unknown-key"),
    ],
)
def test_what_goes_too_far_is_refused(old: str, new: str, code: str) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(SmkiError) as refusal:
        read(TEXT.replace(old, new))
    assert refusal.value.code == code
    assert "ocsp.toml" in refusal.value.message
