"""What revocation.toml may say, and what no file can."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from smki.authority.revocation.policy import Requester, RevocationFile, RevocationPolicy
from smki.authority.workspace import SHIPPED
from smki.pki.kind import Kind
from smki.pki.reason import Reason
from smki.settings import read_toml
from tests.authority.desk import code_of

SHIPPED_FILE = Path(SHIPPED / "policies" / "revocation.toml").read_text(encoding="utf-8")


def read(text: str) -> RevocationPolicy:
    return read_toml(text.encode(), "revocation.toml", RevocationFile).value.checked()


def test_the_shipped_file_is_inside_the_limits() -> None:
    policy = read(SHIPPED_FILE)
    assert not policy.rule(Kind.DEVICE).revocable
    assert not policy.rule(Kind.ROOT).revocable
    assert policy.rule(Kind.RESPONDER).revocable
    assert policy.policy_authority == {}
    assert Reason.PRIVILEGE_WITHDRAWN not in policy.reasons[Requester.SUBSCRIBER]


@pytest.mark.requirement("R-LAY-4")
@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (
            'reasons = ["unspecified", "key-compromise", "affil',
            'reasons = ["unspecified", "affil',
            "policy.revocation",
        ),
        ('    "unspecified", "key-compromise", "ca-c', '    "unspecified", "ca-c', "policy.revocation"),
        ("signed_only = []", 'signed_only = ["key-compromise"]', "policy.revocation"),
        ("signed_only = []", 'signed_only = ["stolen"]', "policy.value"),
        ("approve_above = 10 ", "approve_above = 1001 ", "policy.revocation"),
        ("approve_above = 100", "approve_above = -1", "policy.revocation"),
        ("[kinds.issuing]\nrevocable", "[kinds.issuing]\napprove_above = 1\nrevocable", "policy.revocation"),
        ("[kinds.organisation]\nrevocable = true", "[kinds.organisation]\nrevocable = false", "policy.revocation"),
        ("[kinds.issuing]\nrevocable = true", "[kinds.issuing]\nrevocable = false", "policy.revocation"),
        ("[kinds.link]\nrevocable = true", "[kinds.link]\nrevocable = false", "policy.revocation"),
        ("largest_request = 500_000", "largest_request = 2_000_000", "policy.revocation"),
        ('oldest_request = "7d"', 'oldest_request = "60d"', "policy.stretch"),
        ('oldest_list = "7d"', 'oldest_list = "367d"', "policy.stretch"),
        ('oldest_list = "7d"', 'oldest_list = "soon"', "policy.stretch"),
        ('unknown = "take"', 'unknown = "whatever"', "settings.value"),
        ("names = {}", 'names = { "The PMA" = "junk" }', "policy.revocation"),
        ("names = {}", 'names = { "The PMA" = "AAAA" }', "policy.revocation"),
        ("[kinds.link]", "[kinds.root]", "policy.revocation"),
        ("[standing]", "undo = true\n[standing]", "settings.unknown-key"),
    ],
)
def test_limits_that_no_file_moves(old: str, new: str, code: str) -> None:
    text = SHIPPED_FILE.replace("approve_above = 10\n", "approve_above = 10 \n")
    assert old in text
    assert code_of(lambda: read(text.replace(old, new, 1))) == code


def test_every_key_is_needed() -> None:
    tables: dict[str, Any] = tomllib.loads(SHIPPED_FILE)
    assert set(tables) == {"largest_request", "oldest_request", "requesters", "kinds", "standing"}
    assert code_of(lambda: read(SHIPPED_FILE.replace('oldest_list = "7d"', ""))) == "settings.missing-key"
