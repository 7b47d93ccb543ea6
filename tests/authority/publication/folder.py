"""The public folder of a workspace, as tests look at it."""

from datetime import timedelta
from pathlib import Path

from smki.authority.publication.manifest import MANIFEST, Manifest, read_manifest
from smki.authority.publication.verify import verify_published
from tests.house import NOW, House


def folder_of(house: House) -> Path:
    return house.home / "published"


def manifest_of(house: House) -> Manifest:
    spki = house.workspace.store.audit_key
    assert spki is not None
    return read_manifest((folder_of(house) / MANIFEST).read_bytes(), spki)


def faults_of(house: House) -> list[str]:
    store = house.workspace.store
    assert store.audit_key is not None
    verdict = verify_published(folder_of(house), store.origin, store.audit_key, house.workspace.clock())
    return [f"{fault.code}: {fault.message}" for fault in verdict.faults]


def at(house: House, hours: float) -> None:
    """The clock of this workspace, from now on."""
    house.workspace.clock = lambda: NOW + timedelta(hours=hours)
