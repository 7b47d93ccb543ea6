"""What may stand in each file, by the classes that read it."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import smki
from scripts.references.sources import ROOT, Undocumented, anchor
from scripts.references.tables import Section, sections, structs
from smki.settings import Table


@dataclass(frozen=True)
class File:
    """A file, and what reads it."""

    name: str
    reader: str
    """`module:class`, or several classes that differ in their `kind`, below smki."""

    @property
    def kind(self) -> Any:
        module, _, names = self.reader.partition(":")
        kinds = [getattr(importlib.import_module(f"smki.{module}"), name) for name in names.split("|")]
        return reduce(or_, kinds)


POLICIES = (
    File("hierarchy.toml", "authority.policies:_HierarchyFile"),
    File("quorum.toml", "authority.policies:_QuorumFile"),
    File("profiles/NAME.toml", "pki.profile:_ProfileFile"),
    File("issuance.toml", "authority.issuance.policy:IssuanceFile"),
    File("revocation.toml", "authority.revocation.policy:RevocationFile"),
    File("publication.toml", "authority.publication.policy:PublicationFile"),
    File("ocsp.toml", "authority.ocsp.policy:OcspFile"),
    File("registration.toml", "authority.estate.policy:RegistrationFile"),
    File("inventory.toml", "authority.estate.policy:InventoryFile"),
    File("signing.toml", "authority.signing:SigningFile"),
    File("broker.toml", "authority.broker:BrokerFile"),
    File("anomaly.toml", "authority.anomaly_file:AnomalyFile"),
    File("cos.toml", "authority.cos:CosFile"),
    File("recovery.toml", "authority.recovery:RecoveryFile"),
    File("credentials.toml", "authority.credentials:CredentialsFile"),
    File("devices.toml", "authority.devices:DevicesFile"),
    File("joins.toml", "authority.joins:JoinsFile"),
    File("use-cases.toml", "gbcs.use_case_file:UseCaseFile"),
    File("names-cosem.toml, names-zigbee.toml", "gbcs.payload.names:_File"),
)
OTHERS = (
    File("smki.toml", "authority.workspace:_Settings"),
    File("hsm/KIND.toml", "hsm.description:Description"),
    File("A ceremony for an authority", "authority.ceremony.file:AuthorityCeremony"),
    File("A ceremony for the roll of officers", "authority.ceremony.file:OfficersCeremony"),
    File("A plan of recovery or contingency", "parties.recovery.file:RecoveryTable|ContingencyTable"),
    File("Thresholds", "parties.broker.threshold_file:_File"),
    File("A home", "parties.han_plan:_HomeFile"),
)
LINES = (
    File("Certificate requests", "authority.issuance.request_files:_Line"),
    File("Messages", "parties.intake:_Line"),
    File("What commands are expected to say", "parties.expectation:_Written"),
    File("Requests to the broker, the first line", "parties.broker.requests:_Head"),
    File("Requests to the broker, each further line", "parties.broker.requests:_Line"),
    File("The manifest of the public folder", "authority.publication.manifest:_ManifestTable"),
)
_POLICIES_HEAD = """# Policies

Written by `scripts/reference` from the readers of these files. They stand in the folder `policies/` of a workspace,
are TOML, and are read strictly: a key that is not listed here is an error that names file, key and remedy. Whatever a
file says, the limits named here are in the code, and no file lets one past. Which files were in force stands in the
log, by their SHA-256. `smki init` writes them all with the values shipped.
"""
_FILES_HEAD = """# Files

Written by `scripts/reference` from the readers of these files. All are read strictly: a key that is not listed here
is an error that names file, key and remedy. The files in `policies/` have [a page of their own](policies.md).
"""
_LINES_HEAD = """## Lines of JSON

Larger lists come as lines of JSON, a line for each, or in the other forms that a command's help names. Whole
documents are JSON as well where that is said.
"""
_ANCHORS = """## anchors/

In a service user's workspace: certificates of the roots and issuing authorities it believes, a file each, PEM or DER.
"""


def policies_page() -> str:
    """docs/reference/policies.md."""
    return _page(_POLICIES_HEAD, POLICIES, toml=True)


def files_page() -> str:
    """docs/reference/files.md."""
    others = _page(_FILES_HEAD, OTHERS, toml=True)
    lines = _page(_LINES_HEAD, LINES, toml=False).replace("\n## ", "\n### ").replace("### Lines", "## Lines", 1)
    return f"{others}\n{_ANCHORS}\n{lines}"


def documented() -> set[type]:
    """Every class that one of the pages tells."""
    return {kind for file in (*POLICIES, *OTHERS, *LINES) for kind in structs(file.kind)}


def readers() -> Iterator[type]:
    """Every class that reads tables of a file; those that only lend their keys to others are told with them."""
    for module in pkgutil.walk_packages(smki.__path__, "smki."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    waiting = [Table]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            if kind.__subclasses__():
                waiting.append(kind)
            yield kind


def _page(head: str, files: tuple[File, ...], *, toml: bool) -> str:
    contents = "".join(f"- [{file.name}](#{anchor(file.name)})\n" for file in files)
    return "\n".join([head, contents, *(_of_file(file, toml) for file in files)])


def _of_file(file: File, toml: bool) -> str:
    parts = [f"## {file.name}", ""]
    if (ROOT / "policies" / file.name).is_file():
        parts += [f"As shipped: [policies/{file.name}](../../policies/{file.name}).", ""]
    told = list(sections(file.kind, toml))
    for number, section in enumerate(told):
        if not number and not section.about:
            raise Undocumented(f"{file.reader}: say what the file is, in the docstring of its class")
        parts += _of_section(section)
    return "\n".join(parts)


def _of_section(section: Section) -> list[str]:
    lines = [": ".join(part for part in (section.place, section.about) if part), ""]
    if not section.keys:
        return lines
    lines += ["| key | value | without it | meaning |", "|---|---|---|---|"]
    for key in section.keys:
        lines.append(f"| `{key.name}` | {key.value} | {key.otherwise} | {key.meaning} |")
    return [*lines, ""]
