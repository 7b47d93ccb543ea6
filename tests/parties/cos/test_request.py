"""Requests as they travel: written and read again, and every way of a hostile one is a told fault."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smki.device.update import MAX_COUNTER, Floors
from smki.entity import EntityId
from smki.errors import InvalidInput
from smki.meter_point import MeterPoint
from smki.parties.cos.request import (
    FORM,
    MAX_FILE_OCTETS,
    MOST_HOMES,
    Asked,
    Cancelling,
    Home,
    Misread,
    read_content,
    read_request,
    write_cancel,
    write_change,
)
from tests.house import NOW
from tests.parties.cos.world import SOUTH, Party, codes, home, meter, point, south

HEAD: dict[str, Any] = {
    "form": FORM,
    "act": "change",
    "supplier": str(SOUTH),
    "made": "2026-11-21T12:00:00Z",
    "certificates": dict.fromkeys(("digitalSignature", "keyAgreement", "prePaymentTopUp"), ""),
    "floors": {"commands": "0", "top_ups": "0"},
}
LINE = {"reference": "a", "meter_point": str(point(0))}


def content(head: Any = HEAD, *lines: Any) -> bytes:
    written = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in (head, *(lines or (LINE,)))]
    return b"\n".join(written) + b"\n"


def line(written: Any) -> Home | Misread:
    asked = read_content(content(HEAD, written))
    assert isinstance(asked, Asked)
    (found,) = asked.homes()
    return found


points = st.integers(0, 10**9).map(point)
moments = st.integers(0, 250_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=100).filter(str.isprintable)
devices = st.lists(st.binary(min_size=8, max_size=8).map(EntityId), max_size=16).map(tuple)
counters = st.integers(0, MAX_COUNTER)


@given(
    st.lists(st.builds(Home, texts, points, devices, st.none() | moments), min_size=1, max_size=5),
    counters,
    counters,
)
@settings(deadline=None, max_examples=100)
def test_what_is_written_is_read(homes: list[Home], commands: int, top_ups: int) -> None:
    asked = read_content(write_change(SOUTH, NOW, (b"1", b"2", b"3"), Floors(commands, top_ups), homes))
    assert isinstance(asked, Asked)
    assert (asked.supplier, asked.made, asked.certificates) == (SOUTH, NOW, (b"1", b"2", b"3"))
    assert asked.floors == Floors(commands, top_ups)
    assert list(asked.homes()) == homes


def test_a_cancellation_too() -> None:
    asked = read_content(write_cancel(SOUTH, NOW, b"\7" * 32, ["a", "b"]))
    assert isinstance(asked, Cancelling)
    assert (asked.request, asked.references) == (b"\7" * 32, frozenset({"a", "b"}))


@pytest.mark.requirement("R-LAY-3")
@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300))
def test_no_octets_do_more_than_be_refused(octets: bytes) -> None:
    for read in (read_request, read_content):
        with pytest.raises(InvalidInput):
            read(octets)


HEADS: list[tuple[str, Any]] = [
    ("cos.line", b"{"),
    ("cos.line", b"[]"),
    ("cos.line", b'"text"'),
    ("cos.line", b"\xff\xfe{\0}\0"),
    ("cos.line", b"[" * 10_000 + b"]" * 10_000),
    ("cos.line", b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    ("cos.line", b'{"form": "x", "form": "y"}'),
    ("cos.line", b" " * 30_000),
    ("cos.line", {**HEAD, "more": 1}),
    ("cos.line", {key: value for key, value in HEAD.items() if key != "floors"}),
    ("cos.line", {**HEAD, "act": "give"}),
    ("cos.line", {**HEAD, "floors": {"commands": 0, "top_ups": 0}}),
    ("cos.form", {**HEAD, "form": "another"}),
    ("cos.form", {**HEAD, "certificates": {**HEAD["certificates"], "keyAgreement": "not base64!"}}),
    ("cos.form", {**HEAD, "certificates": {**HEAD["certificates"], "keyAgreement": "AAAA" * 1366}}),
    ("cos.counter", {**HEAD, "floors": {"commands": "-1", "top_ups": "0"}}),
    ("cos.counter", {**HEAD, "floors": {"commands": "01", "top_ups": "0"}}),
    ("cos.counter", {**HEAD, "floors": {"commands": str(MAX_COUNTER + 1), "top_ups": "0"}}),
    ("cos.counter", {**HEAD, "floors": {"commands": "٣", "top_ups": "0"}}),
    ("cos.counter", {**HEAD, "floors": {"commands": "9" * 5000, "top_ups": "0"}}),
    ("entity.form", {**HEAD, "supplier": "north"}),
    ("cos.time", {**HEAD, "made": "2026-11-21T12:00:00"}),
    ("cos.time", {**HEAD, "made": "2026-11-21T12:00:00+01:00"}),
    ("cos.time", {**HEAD, "made": "2026-13-21T12:00:00Z"}),
    ("cos.time", {**HEAD, "made": "２０２６-11-21T12:00:00Z"}),
    ("cos.form", {"form": FORM, "act": "cancel", "supplier": str(SOUTH), "made": HEAD["made"], "request": "00"}),
]  # fmt: skip


@pytest.mark.parametrize(("code", "head"), HEADS)
def test_a_first_line_that_is_none(code: str, head: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_content(content(head))
    assert caught.value.code == code


LINES: list[tuple[str, Any]] = [
    ("cos.line", b""),
    ("cos.line", b"[" * 1000 + b"]" * 1000),
    ("cos.line", b"[" * 3000),
    ("cos.line", {**LINE, "more": 1}),
    ("cos.line", {"reference": "a"}),
    ("cos.line", {**LINE, "devices": "one"}),
    ("cos.line", {**LINE, "reference": ""}),
    ("cos.line", {**LINE, "reference": "a\x1b[2J"}),
    ("cos.line", {**LINE, "reference": "a" * 101}),
    ("cos.line", {**LINE, "devices": [str(meter(1))] * 17}),
    ("cos.line", b'{"reference": "a", "reference": "b", "meter_point": "1200000000002"}'),
    ("cos.line", b'{"reference": "a", "meter_point": "1200000000002", "at": 1e999}'),
    ("meter-point.check", {**LINE, "meter_point": "1200000000003"}),
    ("meter-point.form", {**LINE, "meter_point": "x"}),
    ("entity.form", {**LINE, "devices": ["x"]}),
    ("cos.time", {**LINE, "at": "2026-12-01"}),
    ("cos.time", {**LINE, "at": "2026-12-01T00:00:00"}),
    ("cos.time", {**LINE, "at": "2026-12-01T00:00:00.5Z"}),
]


@pytest.mark.parametrize(("code", "written"), LINES)
def test_a_line_that_is_none_is_told_and_others_go_on(code: str, written: Any) -> None:
    asked = read_content(content(HEAD, written, LINE))
    assert isinstance(asked, Asked)
    bad, good = asked.homes()
    assert isinstance(bad, Misread)
    assert bad.fault.code == code
    assert bad.fault.message.startswith("line 2: ")
    assert isinstance(good, Home)


@pytest.mark.requirement("R-LAY-2")
def test_what_is_too_much_is_refused_before_it_is_parsed() -> None:
    began = time.monotonic()
    with pytest.raises(InvalidInput, match=r"cos\.size"):
        read_content(content(HEAD, *[b"{}"] * (MOST_HOMES + 1)))
    with pytest.raises(InvalidInput, match=r"cos\.size"):
        read_content(b"\n" * 1_000_000)
    with pytest.raises(InvalidInput, match=r"cos\.size"):
        read_request(bytes(MAX_FILE_OCTETS + 1))
    assert time.monotonic() - began < 2
    with pytest.raises(InvalidInput, match=r"cos\.form"):
        read_content(content(HEAD)[:-1])
    with pytest.raises(InvalidInput, match=r"cos\.form"):
        read_content(json.dumps(HEAD).encode() + b"\n")


def test_no_bit_of_a_signed_request_can_change(party: Party) -> None:
    """Every changed request is of another form, another content, or not signed by who it says."""
    request = south.request(home())
    asked = party.judge(request).asked
    step = max(1, len(request) // 400)
    for place in range(0, len(request), step):
        octets = bytearray(request)
        octets[place] ^= 1 << place % 8
        try:
            judgement = party.judge(bytes(octets))
        except InvalidInput:
            continue
        # What CMS does not sign may differ: then it is the same request all the same.
        same = judgement.asked == asked
        assert same or not judgement.believed, f"octet {place}"


def test_requests_larger_than_the_policy_has_are_refused(party: Party) -> None:
    path = party.house.home / "policies" / "cos.toml"
    path.write_text(path.read_text().replace("largest_request = 200_000", "largest_request = 1"))
    party.workspace.__dict__.pop("policies")
    with pytest.raises(InvalidInput, match=r"cos\.size"):
        party.judge(south.request(home(0), home(1)))
    assert not party.judge(south.request(home())).faults


def test_one_bad_line_spoils_no_other(party: Party) -> None:
    written = write_content_with(b'{"reference": 1}')
    bad, good = party.verdicts(south.sign(written))
    assert codes(bad) == ["cos.line"]
    assert not good.faults
    assert isinstance(good.meter_point, str)
    assert MeterPoint(good.meter_point) == point(0)


def write_content_with(extra: bytes) -> bytes:
    head, rest = write_change(SOUTH, NOW, south.trio, Floors(0, 0), [home()]).split(b"\n", 1)
    return b"\n".join((head, extra, rest))
