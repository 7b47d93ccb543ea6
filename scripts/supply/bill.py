"""A bill of materials in CycloneDX 1.6 (ECMA-424), the same octets whenever and wherever the same is pinned.

It has no time in it and no serial number by chance: the serial number is that of its content.
"""

import hashlib
import json
import tomllib
import uuid
from collections.abc import Callable, Iterable
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

from scripts.supply.licences import licence_of
from scripts.supply.pins import ROOT, Pin, name_in, only_for, pins_of

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_SPACE = uuid.UUID("5c8f4b1e-8a3c-5d58-9a52-5f0b3f3d8c11")  # of the serial numbers of bills of this program
_ASKED = "smki"
# What the system gives, by the names its packages have there; which version is for whoever installs it.
SYSTEM = {
    "softhsm2": ("library", "The HSM in software, reached through PKCS#11; an HSM's own library takes its place"),
    "openssl": ("application", "Signs what officers hand in, as docs say; nothing in the program runs it"),
}

Licence = Callable[[str], str]


def installed_licence(name: str) -> str:
    return licence_of(name, metadata(name))


def runtime_bill(root: Path = ROOT, licence: Licence = installed_licence) -> dict[str, Any]:
    """Of what a wheel installs: with every extra, each marked as what it is."""
    pins, project = pins_of("runtime", root=root), _project(root)
    extras = frozenset(name_in(one) for group in project.get("optional-dependencies", {}).values() for one in group)
    found = _bill(project, pins.values(), only_for(extras, pins), licence, "operations")
    for name, (kind, words) in sorted(SYSTEM.items()):
        found["components"].append(_system(name, kind, words))
    found["dependencies"] += [{"ref": f"pkg:deb/debian/{name}"} for name in sorted(SYSTEM)]
    return _numbered(found)


def build_bill(root: Path = ROOT, licence: Licence = installed_licence) -> dict[str, Any]:
    """Of what builds the wheel."""
    pins = pins_of("build", root=root)
    return _numbered(_bill(_project(root), pins.values(), frozenset(), licence, "build"))


def written(bill: dict[str, Any]) -> str:
    return json.dumps(bill, indent=2, sort_keys=True, ensure_ascii=True) + "\n"


def _project(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def _bill(
    project: dict[str, Any], pins: Iterable[Pin], optional: frozenset[str], licence: Licence, phase: str
) -> dict[str, Any]:
    own = f"pkg:pypi/{project['name']}@{project['version']}"
    ordered = sorted(pins, key=lambda pin: pin.name)
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": phase}],
            "tools": {"components": [{"type": "application", "name": "scripts/sbom", "version": project["version"]}]},
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": project["name"],
                "version": project["version"],
                "description": project["description"],
                "purl": own,
            },
        },
        "components": [_component(pin, pin.name in optional, licence(pin.name)) for pin in ordered],
        "dependencies": [{"ref": own, "dependsOn": [pin.purl for pin in ordered if pin.is_direct]}]
        + [_needs(pin, ordered) for pin in ordered],
    }


def _component(pin: Pin, is_optional: bool, licence: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.purl,
        "scope": "optional" if is_optional else "required",
        "licenses": _licences(licence),
        "externalReferences": [
            {
                "type": "distribution",
                "url": pin.purl,
                "comment": "a file with one of these digests is installed, and no other",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in pin.sha256],
            }
        ],
    }


def _licences(expression: str) -> list[dict[str, Any]]:
    if not expression:
        return []
    if expression.startswith("LicenseRef-"):
        return [{"license": {"name": expression.removeprefix("LicenseRef-").replace("-", " ")}}]
    return [{"expression": expression}] if " " in expression else [{"license": {"id": expression}}]


def _needs(pin: Pin, every: Iterable[Pin]) -> dict[str, Any]:
    below = [other.purl for other in every if pin.name in other.via]
    return {"ref": pin.purl, "dependsOn": below} if below else {"ref": pin.purl}


def _system(name: str, kind: str, words: str) -> dict[str, Any]:
    purl = f"pkg:deb/debian/{name}"
    supplied = [{"name": f"{_ASKED}:supplied-by", "value": "the operating system"}]
    return {
        "type": kind,
        "bom-ref": purl,
        "name": name,
        "purl": purl,
        "scope": "optional",
        "description": words,
        "properties": supplied,
    }


def _numbered(bill: dict[str, Any]) -> dict[str, Any]:
    digest = hashlib.sha256(written(bill).encode()).hexdigest()
    return {**bill, "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, digest)}"}
