"""The bill of materials has the form that CycloneDX 1.6 wants, and says what is pinned."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.supply import bill
from scripts.supply.pins import ROOT, pins_of

_PURL = re.compile(r"pkg:(pypi|deb/debian)/[a-z0-9.-]+(@[A-Za-z0-9.!+_-]+)?")
_SERIAL = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TOP = {
    *("$schema", "bomFormat", "specVersion", "serialNumber", "version", "metadata", "components", "dependencies"),
}
_COMPONENT = {
    *("type", "bom-ref", "name", "version", "purl", "scope", "licenses", "externalReferences", "description"),
    "properties",
}
BILLS = {"runtime": bill.runtime_bill(), "build": bill.build_bill()}


@pytest.mark.parametrize("kind", BILLS)
def test_it_has_the_form_of_the_specification(kind: str) -> None:
    """What CycloneDX 1.6 requires, and nothing it does not know (bom-1.6.schema.json)."""
    found = BILLS[kind]
    assert found.keys() <= _TOP
    assert (found["bomFormat"], found["specVersion"], found["version"]) == ("CycloneDX", "1.6", 1)
    assert _SERIAL.fullmatch(found["serialNumber"])
    assert found["metadata"].keys() == {"lifecycles", "tools", "component"}
    assert found["metadata"]["lifecycles"][0]["phase"] in {"build", "operations"}
    components: list[dict[str, Any]] = [found["metadata"]["component"], *found["components"]]
    for one in components:
        assert one.keys() <= _COMPONENT, one
        assert {"type", "name"} <= one.keys(), one
        assert one["type"] in {"application", "library"}, one
        assert one.get("scope", "required") in {"required", "optional"}, one
        assert _PURL.fullmatch(one["purl"]), one
        for licence in one.get("licenses", []):
            assert len(licence) == 1, one
            assert set(licence) == {"expression"} or len(licence["license"].keys() & {"id", "name"}) == 1, one
        for reference in one.get("externalReferences", []):
            assert {"type", "url"} <= reference.keys() <= {"type", "url", "comment", "hashes"}, one
            assert all(re.fullmatch(r"[0-9a-f]{64}", each["content"]) for each in reference["hashes"]), one
            assert {each["alg"] for each in reference["hashes"]} == {"SHA-256"}, one
    references = [one["bom-ref"] for one in components]
    assert len(set(references)) == len(references), "each is referred to by a name of its own"
    edges = found["dependencies"]
    assert sorted(edge["ref"] for edge in edges) == sorted(references)
    for edge in edges:
        assert edge.keys() <= {"ref", "dependsOn"}
        assert len(set(edge.get("dependsOn", []))) == len(edge.get("dependsOn", []))
        assert set(edge.get("dependsOn", [])) <= set(references)


@pytest.mark.parametrize("kind", BILLS)
def test_it_says_what_is_pinned_and_nothing_else(kind: str) -> None:
    pinned = {name: (pin.version, pin.sha256) for name, pin in pins_of(kind).items()}
    told = {
        one["name"]: (one["version"], tuple(each["content"] for each in one["externalReferences"][0]["hashes"]))
        for one in BILLS[kind]["components"]
        if one["purl"].startswith("pkg:pypi/")
    }
    assert told == pinned
    assert all(one["licenses"] for one in BILLS[kind]["components"] if one["name"] in pinned)


def test_whoever_asks_for_a_package_is_told() -> None:
    edges = {edge["ref"]: set(edge.get("dependsOn", [])) for edge in BILLS["runtime"]["dependencies"]}
    pins = pins_of("runtime")
    assert pins["cffi"].purl in edges[pins["cryptography"].purl]
    assert pins["cryptography"].purl in edges[BILLS["runtime"]["metadata"]["component"]["bom-ref"]]
    assert all(any(pin.purl in below for below in edges.values()) for pin in pins.values()), "nobody asks for it"


def test_what_only_an_extra_needs_is_optional_and_what_the_system_gives_is_told() -> None:
    scopes = {one["name"]: one["scope"] for one in BILLS["runtime"]["components"]}
    assert {name for name, scope in scopes.items() if scope == "optional"} >= {"psycopg", "psycopg-binary"}
    assert scopes["cryptography"] == scopes["cffi"] == "required"
    system = {one["name"]: one for one in BILLS["runtime"]["components"] if one["name"] in bill.SYSTEM}
    assert system.keys() == {"softhsm2", "openssl"}
    assert all("version" not in one for one in system.values()), "which version is not ours to say"


def test_it_is_the_same_octets_whenever_it_is_made(tmp_path: Path) -> None:
    """Another process, another order of sets and dictionaries."""
    command = [sys.executable, "-m", "scripts.supply", "bill", "--out", str(tmp_path / "dist" / "bill.json")]
    environment = {"PYTHONHASHSEED": "5", "PATH": "/usr/bin:/bin"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert (tmp_path / "dist" / "bill.json").read_text() == bill.written(bill.runtime_bill())


def test_another_pin_has_another_serial_number(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    text = (ROOT / "requirements" / "runtime.txt").read_text()
    (tmp_path / "requirements" / "runtime.txt").write_text(text.replace("click==", "click==9"))
    other = bill.runtime_bill(tmp_path, lambda _: "MIT")
    same = bill.runtime_bill(ROOT, lambda _: "MIT")
    assert other["serialNumber"] != same["serialNumber"]
    assert json.loads(bill.written(other)) == other
