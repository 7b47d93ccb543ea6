"""Revocations in bulk: certificates made by the thousand, runs that other processes make and a test kills."""

import os
from datetime import timedelta
from pathlib import Path

from smki.authority.log import act
from smki.authority.revocation import act as acting
from smki.authority.revocation.act import revoke
from smki.authority.revocation.plan import plan
from smki.authority.revocation.request import serials_in
from smki.authority.workspace import Workspace
from smki.entity import EntityId, KeyUsage
from smki.pki.serial import Serial
from smki.pki.status import Status
from smki.store.records import CertificateRecord
from tests.authority.revocation.world import asked
from tests.house import NOW, House, opened


def fill(workspace: Workspace, count: int) -> list[Serial]:
    """Certificates of devices on record; nobody reads their octets here."""
    issuer = next(one for one in workspace.store.authorities() if one.hierarchy == "device" and one.tier == "issuing")
    serials = [Serial.draw(os.urandom, NOW) for _ in range(count)]
    records = [
        CertificateRecord(
            issuer=issuer.number, serial=serial, key_hash=os.urandom(16), entity=EntityId(os.urandom(8)),
            profile="device", not_before=NOW, not_after=NOW + timedelta(days=3650), der=os.urandom(64),
            usage=KeyUsage.DIGITAL_SIGNATURE, subscriber=0, status=Status.PENDING,
        )
        for serial in serials
    ]  # fmt: skip
    with act(workspace, "test.filled") as tx:
        tx.reserve_serials(issuer.number, serials, "batch test")
        tx.store_certificates(records)
    return serials


def allow_devices(house: House) -> None:
    path = house.home / "policies" / "revocation.toml"
    text = path.read_text().replace("[kinds.device]\nrevocable = false", "[kinds.device]\nrevocable = true")
    path.write_text(text.replace("approve_above = 100", "approve_above = 1000"))
    house.workspace.__dict__.pop("policies", None)


def write(path: Path, serials: list[Serial]) -> None:
    path.write_text("".join(f"{serial}\n" for serial in serials))


def run_again(home: str, file: str, piece: str) -> None:
    """What a process of its own does."""
    vars(acting)["PIECE"] = int(piece)
    house = opened(Path(home))
    with Path(file).open("rb") as source:
        found = plan(house.workspace, asked(*serials_in(source, 10_000)))
    done = sum(len(records) for records in revoke(house.workspace, found))
    house.workspace.close()
    print(done, flush=True)
