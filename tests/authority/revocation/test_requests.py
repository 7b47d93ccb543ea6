"""Requests to revoke that an officer signed; and what a request may be, from whoever it comes."""

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smki.authority.revocation.policy import Requester
from smki.authority.revocation.request import Evidence, read_request, serials_in, write_request
from smki.pki.holder import load_certificate
from smki.pki.reason import Reason
from smki.pki.signed_data import make_signed_data
from smki.pki.status import Status
from tests.authority.desk import code_of, new_key
from tests.authority.revocation.world import World, asked, entries, status_of
from tests.house import NOW, OFFICERS

HOUR = timedelta(hours=1)


def signed(world: World, key: Any = None, **more: Any) -> bytes:
    record = more.pop("record", None) or world.organisation()
    officer = more.pop("officer", None) or world.officer("Ann Ash")
    made = more.pop("made", NOW)
    content = more.pop("content", None) or write_request(asked(record, requested_by="Ann Ash", **more), made)
    return make_signed_data(content, load_certificate(officer.der, "it"), key or world.officers_key, NOW)


def test_a_signed_request_is_believed_for_its_signature(world: World) -> None:
    record = world.organisation()
    request = read_request(signed(world, record=record), 10)
    (done,) = world.revoke(**{name: getattr(request, name) for name in request.__dataclass_fields__})
    assert world.workspace.store.revocations.ground(done.ground)["signed"] is True
    (ground,) = entries(world, "revocation.asked")
    assert ground["request_sha256"]


def test_a_request_signed_by_another_or_long_ago_is_refused(world: World) -> None:
    record, officer = world.organisation(), world.officer("Ann Ash")

    def code(**more: Any) -> str:
        request = read_request(signed(world, record=record, officer=officer, **more), 10)
        return code_of(lambda: world.plan(**{name: getattr(request, name) for name in request.__dataclass_fields__}))

    assert code(key=new_key()) == "revoke.signature"
    assert code(made=NOW - timedelta(days=8)) == "revoke.request-age"
    assert code(made=NOW + HOUR) == "revoke.request-age"
    assert status_of(world, record.serial) is Status.IN_USE


def test_an_officer_on_the_roll_signs_with_the_key_of_the_roll(world: World) -> None:
    record, officer = world.organisation(), world.officer("Ann Ash")
    content = write_request(asked(record), NOW)
    data = make_signed_data(content, load_certificate(officer.der, "it"), OFFICERS["alice"], NOW)
    request = read_request(data, 10)
    found = world.plan(**{name: getattr(request, name) for name in request.__dataclass_fields__})
    assert (found.asker.capacity, found.asker.signed) == (Requester.AUTHORITY, True)


def test_a_policy_can_want_signatures_but_not_for_a_compromise(world: World) -> None:
    record = world.organisation()
    world.policy(
        "[kinds.organisation]\nrevocable = true\nsigned_only = []",
        '[kinds.organisation]\nrevocable = true\nsigned_only = ["superseded"]',
    )
    assert code_of(lambda: world.plan(record, reason=Reason.SUPERSEDED)) == "revoke.unsigned"
    assert world.plan(record).revoke


GOOD = (
    "smki revocation request v1\nrequested-by Ann Ash\nreason superseded\nmade-at 2026-11-21T10:00:00Z\n"
    "evidence replaced\n4A07BC01D9253B51FAF01F7EC7DA5B2F\n"
)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (GOOD.replace("v1", "v2"), "revoke.request-form"),
        (GOOD.replace("evidence replaced\n", ""), "revoke.request-form"),
        (GOOD.replace("evidence", "reason superseded\nevidence"), "revoke.request-form"),
        (GOOD + "4A07BC01D9253B51FAF01F7EC7DA5B2E\n" * 9, "revoke.request-form"),
        (GOOD.replace("4A07BC01D9253B51FAF01F7EC7DA5B2F\n", ""), "revoke.request-form"),
        (GOOD.replace("2026-11-21T", "2026-11-21 "), "revoke.request-form"),
        (GOOD.replace("4A07", "XA07"), "serial.form"),
        (GOOD + "4" * 100 + "\n", "revoke.request-form"),
        (GOOD.replace("superseded", "remove-from-crl"), "reason.unknown"),
        (GOOD.replace("Ann", "An\x07n"), "revoke.name"),
        (GOOD.replace("evidence replaced", "evidence " + "x" * 2000), "revoke.evidence"),
        (GOOD.replace("replaced\n", "replaced\u20284A07BC01D9253B51FAF01F7EC7DA5B2E\n"), "revoke.evidence"),
        (GOOD.replace("Ash\n", "Ash\x85reason superseded\n", 1), "revoke.name"),
        (GOOD + "\n" * 1000, "revoke.request-form"),
    ],
)
def test_a_request_of_another_form_is_refused(world: World, content: str, code: str) -> None:
    data = signed(world, content=content.encode())
    assert code_of(lambda: read_request(data, 5)) == code


def test_requests_from_outside_are_bounded_and_never_crash(world: World) -> None:
    for data in (b"", b"\x30\x80", b"\xff" * 1000, signed(world, content=b"\xff\xfe")):
        assert code_of(lambda data=data: read_request(data, 5)) == "revoke.request-form"  # type: ignore[misc]
    lines = b"4A07BC01D9253B51FAF01F7EC7DA5B2F\n\n4a07bc01d9253b51faf01f7ec7da5b2f\n"
    assert len(serials_in(io.BytesIO(lines), 5)) == 1
    assert code_of(lambda: serials_in(io.BytesIO(b"A" * 1000), 5)) == "revoke.line"
    many = b"".join(b"4A%030X\n" % number for number in range(6))
    assert code_of(lambda: serials_in(io.BytesIO(many), 5)) == "revoke.count"


def test_evidence_is_a_file_by_its_digest_or_words(tmp_path: Path) -> None:
    (tmp_path / "report").write_bytes(b"seen at the scene")
    assert len(Evidence.given(str(tmp_path / "report")).sha256) == 64
    assert Evidence.given("it was stolen").text == "it was stolen"
    assert code_of(lambda: Evidence.given("typo.pdf")) == "evidence.unreadable"
