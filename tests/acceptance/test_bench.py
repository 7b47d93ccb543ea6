"""The bench, of a size for every day: its figures mean nothing here, but it runs, and tells what it tells."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from scripts.benches.__main__ import parser
from scripts.benches.arithmetic import Arithmetic
from scripts.benches.issue import run as run_issue
from scripts.benches.message import run as run_messages
from scripts.benches.peers import PEERS, Peer
from scripts.benches.report import Row, figures, missing, show
from scripts.benches.whole import FULL, QUICK
from scripts.figures.machine import look
from scripts.figures.pictures import pictures
from scripts.figures.plot import Bar, Line, Panel, bars, lines

_SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.slow(8)
def test_issuing_is_measured_against_the_bound_and_beside_others() -> None:
    rows = list(run_issue(2, [3], 1, 2, brief=True))
    assert all(row.rate > 0 and (row.bound is None or row.bound > 0) for row in rows)
    found = figures(rows)
    assert found["all"]["aim"] == 0.8
    assert found["count"] == 2
    assert found["all"]["ratio"] == pytest.approx(found["all"]["rate"] / found["all"]["bound"])
    assert set(found["peers"]) == {peer.key for peer in PEERS}
    for peer in PEERS:
        assert (found["peers"][peer.key]["issue"]["ratio"] is None) == (not peer.is_here)
    assert [one["stored"] for one in found["stored"].values()] == [0, 3]
    assert found["stored"]["0"]["flat"]["ratio"] == 1


def test_messages_are_measured_against_the_token() -> None:
    rows = run_messages(4, 1, brief=True)
    some = [next(rows) for _ in range(2)]
    rows.close()
    assert [(row.key, row.aim) for row in some] == [("c_sign", None), ("sign", 0.9)]
    assert all(row.rate > 0 for row in some)


def test_the_loop_of_macs_grows_slower_with_what_it_protects(tmp_path: Path) -> None:
    loop = Arithmetic(tmp_path, brief=True)
    assert loop.mac(100) > 2 * loop.mac(60_000)
    with pytest.raises(RuntimeError, match="usage"):
        loop.mac(0)


@pytest.mark.parametrize("bench", [*QUICK, *FULL], ids=" ".join)
def test_the_whole_knows_how_each_bench_is_called(bench: tuple[str, ...]) -> None:
    assert parser().parse_args(bench).bench == bench[0]


def test_who_is_not_here_is_no_zero(capsys: pytest.CaptureFixture[str]) -> None:
    nobody = Peer("nobody", "nobody's CA", "nothing", "no-such-program-anywhere", at_once=True, issue=lambda _: 0.0)
    assert not nobody.is_here
    row = missing(Row("nobody.issue", "issue", 100.0, "1/s", nobody.name, 50.0, bar="issue", beside=True))
    assert figures([row])["nobody"]["issue"]["ratio"] is None
    assert ">not here</text>" in pictures({"issue": {"measured": look(""), **figures([row])}})["bench.svg"]
    show([row], as_json=False)
    assert re.search(r"100\.0 1/s +not here +nobody's CA: not here", capsys.readouterr().out)


def test_rows_stand_beside_what_they_were_measured_of() -> None:
    rows = [Row(f"lists.{n}.{key}", "", n, "s", "") for n in (1, 20) for key in ("a", "b")]
    rows[0] = Row("lists.1.a", "", 1, "s", "", of={"entries": 1})
    found = figures(rows)["lists"]
    assert list(found) == ["1", "20"]
    assert found["1"]["entries"] == 1
    assert found["20"]["b"]["rate"] == 20
    with pytest.raises(AssertionError, match=r"lists\.1\.a"):
        figures([*rows, rows[0]])


def test_a_bar_is_as_long_as_its_figure_and_its_text_is_text() -> None:
    drawn = bars("Title & all", [Panel("one", [Bar("half", 0.5, 0.8), Bar("whole", 1.0), Bar("none", None)])], "foot")
    picture = ET.fromstring(drawn)  # noqa: S314 (we wrote it)
    ground, half, whole = (float(rect.attrib["width"]) for rect in picture.iter(f"{_SVG}rect"))
    assert whole == pytest.approx(2 * half, abs=0.2)
    assert ground > whole
    words = [text.text for text in picture.iter(f"{_SVG}text")]
    assert {"Title & all", "half", "0.50", "whole", "1.00", "not here", "foot"} <= set(words)


def test_powers_of_ten_are_equally_far_apart() -> None:
    panel = Panel("others", [Bar("ten", 10.0), Bar("hundred", 100.0), Bar("tenth", 0.1)], by_powers=True)
    picture = ET.fromstring(bars("t", [panel], "f"))  # noqa: S314
    _, ten, hundred, tenth = (rect.attrib for rect in picture.iter(f"{_SVG}rect"))
    assert float(hundred["width"]) == pytest.approx(2 * float(ten["width"]), abs=0.2)
    assert float(tenth["x"]) + float(tenth["width"]) == pytest.approx(float(ten["x"]), abs=0.2)


def test_a_flat_line_is_flat_and_one_that_falls_falls() -> None:
    drawn = lines("growth", ["0", "1,000"], [Line("flat", [1.0, 1.0]), Line("worse", [1.0, 0.5])], "foot")
    picture = ET.fromstring(drawn)  # noqa: S314
    flat, worse = ([float(at.split(",")[1]) for at in line.attrib["points"].split()]
                   for line in picture.iter(f"{_SVG}polyline"))  # fmt: skip
    assert flat[0] == flat[1] == worse[0] < worse[1]


def test_nothing_is_drawn_of_what_nobody_measured() -> None:
    assert pictures({"traffic": {"measured": {}, "attacks": [{"name": "burst"}]}}) == {}
