"""The audit of dependencies: each fault it looks for is found where it is, and none is where it is not."""

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from scripts.supply import audit
from scripts.supply.__main__ import main
from scripts.supply.advisories import BadAdvisory, weaknesses
from scripts.supply.licences import is_allowed
from scripts.supply.pins import ROOT, BadPins, Pin, pins_of, read_pins

_DIGEST = "0" * 64
_CLICK = f"click==8.5.1 \\\n    --hash=sha256:{_DIGEST}\n    # via\n    #   rich\n    #   smki (pyproject.toml)\n"
CLICK = read_pins(_CLICK, "test")


def test_a_pin_is_read_whole() -> None:
    assert {"click": Pin("click", "8.5.1", (_DIGEST,), ("rich", "smki (pyproject.toml)"))} == CLICK
    assert CLICK["click"].is_direct


@pytest.mark.parametrize(
    "text",
    [
        "click\n",
        "click>=8\n",
        "click==8.5.1\n",
        "click==8.5.1 \\\n    # via rich\n",
        f"click==8.5.1 \\\n    --hash=md5:{_DIGEST}\n",
        f"{_CLICK}{_CLICK}",
        f"--index-url somewhere\n{_CLICK}",
        f"{_CLICK}-e .\n",
    ],
)
def test_what_is_not_pinned_by_version_and_hash_is_an_error(text: str) -> None:
    with pytest.raises(BadPins):
        read_pins(text, "test")


def test_a_version_that_differs_or_is_missing_is_told() -> None:
    assert list(audit.version_faults(CLICK, lambda _: "8.5.1")) == []
    assert list(audit.version_faults(CLICK, lambda _: "8.5.2")) == [
        "click is pinned as 8.5.1, and 8.5.2 is installed"
    ]
    assert list(audit.version_faults(CLICK, lambda _: None)) == ["click is pinned, and not installed"]


def test_a_licence_that_is_not_allowed_is_told() -> None:
    assert list(audit.licence_faults(CLICK, lambda _: "BSD-3-Clause")) == []
    for licence in ("GPL-3.0-only", "MIT OR GPL-3.0-only", "", "AND"):
        assert is_allowed(licence) is (licence == "AND"), licence
        if licence != "AND":
            assert len(list(audit.licence_faults(CLICK, lambda _, found=licence: found))) == 1  # type: ignore[misc]

    def missing(_: str) -> str:
        raise PackageNotFoundError

    assert list(audit.licence_faults(CLICK, missing)) == [], "told as not installed"


def test_a_dependency_that_nothing_imports_is_told(tmp_path: Path) -> None:
    for folder in ("smki", "tests", "scripts", "requirements"):
        (tmp_path / folder).mkdir()
    asked = (
        '[project]\ndependencies = ["click>=8", "rich"]\n[project.optional-dependencies]\nx = ["psycopg[binary]"]\n'
    )
    (tmp_path / "pyproject.toml").write_text(asked)
    (tmp_path / "requirements" / "dev.in").write_text("# words\n-c runtime.txt\nhypothesis\nruff\n")
    (tmp_path / "smki" / "a.py").write_text("import click\nfrom psycopg import sql\n")
    (tmp_path / "scripts" / "check").write_text("ruff check\n")
    assert list(audit.unused(tmp_path)) == [
        "rich is a dependency, and nothing in smki/ imports it",
        "hypothesis is in dev.in, and nothing uses it",
    ]


def test_what_is_installed_here_is_without_fault() -> None:
    every = pins_of("runtime", "build", "dev")
    assert list(audit.version_faults(every)) == []
    assert list(audit.licence_faults(every)) == []
    assert list(audit.unused(ROOT)) == []


def _advisory(**changes: Any) -> dict[str, Any]:
    affected = {"package": {"ecosystem": "PyPI", "name": "Click"}, **changes}
    return {"id": "TEST-1", "summary": "Words.", "affected": [affected]}


@pytest.mark.parametrize(
    ("events", "is_weak"),
    [
        ([{"introduced": "0"}], True),
        ([{"introduced": "0"}, {"fixed": "8.5.2"}], True),
        ([{"introduced": "0"}, {"fixed": "8.5.1"}], False),
        ([{"introduced": "8.5.1"}], True),
        ([{"introduced": "8.5.2"}], False),
        ([{"introduced": "0"}, {"last_affected": "8.5.1"}], True),
        ([{"introduced": "0"}, {"last_affected": "8.5.0"}], False),
        ([{"fixed": "8.0"}, {"introduced": "8.1"}, {"introduced": "0"}], True),
        ([{"introduced": "8.10"}], False),
        ([{"introduced": "what?"}], True),
    ],
)
def test_a_weakness_is_of_the_versions_it_names(tmp_path: Path, events: list[dict[str, str]], is_weak: bool) -> None:
    advisory = _advisory(ranges=[{"type": "ECOSYSTEM", "events": events}])
    (tmp_path / "a.json").write_text(json.dumps(advisory))
    count, found = weaknesses(tmp_path, CLICK)
    assert count == 1
    assert [(one.package, one.version, one.identifier) for one in found] == [("click", "8.5.1", "TEST-1")] * is_weak


def test_a_weakness_names_versions_one_by_one_as_well_and_may_be_withdrawn(tmp_path: Path) -> None:
    other = {"package": {"ecosystem": "npm", "name": "click"}, "versions": ["8.5.1"]}
    commits = [{"type": "GIT", "events": [{"introduced": "0"}]}]
    for number, advisory in enumerate(
        (
            _advisory(versions=["8.5.1"]),
            {**_advisory(versions=["8.5.1"]), "withdrawn": "2026-01-01T00:00:00Z"},
            _advisory(versions=["8.5.0"]),
            _advisory(ranges=commits),
            {"id": "TEST-2", "affected": [other]},
        )
    ):
        (tmp_path / f"{number}.json").write_text(json.dumps(advisory))
    count, found = weaknesses(tmp_path, CLICK)
    assert (count, len(found)) == (5, 1)


@pytest.mark.parametrize("octets", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"id": 5}'])
def test_what_is_no_advisory_is_an_error(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "a.json").write_bytes(octets)
    with pytest.raises(BadAdvisory):
        weaknesses(tmp_path, CLICK)


def test_without_advisories_it_says_that_it_did_not_look(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["audit"]) == 0
    assert "known weaknesses: NOT LOOKED FOR" in capsys.readouterr().out
    assert main(["audit", "--advisories", str(tmp_path)]) == 1, "an empty folder is no answer"
    assert "NOT LOOKED FOR" in capsys.readouterr().out
    (tmp_path / "a.json").write_text(json.dumps(_advisory(ranges=[])))
    assert main(["audit", "--advisories", str(tmp_path)]) == 0
    assert "known weaknesses: 0, by 1 advisories" in capsys.readouterr().out
    (tmp_path / "b.json").write_text(json.dumps(_advisory(versions=[CLICK["click"].version])))
    assert main(["audit", "--advisories", str(tmp_path)]) == 1
    assert "weakness: click 8.5.1: TEST-1: Words." in capsys.readouterr().out
