"""Fill a store with certificates that were never issued: real rows with random keys, for measuring a full house."""

import os
from datetime import UTC, datetime

from smki.authority.workspace import Workspace
from smki.entity import EntityId, KeyUsage
from smki.pki.serial import Serial
from smki.pki.status import Status
from smki.pki.validity import NEVER
from smki.store.records import Act, CertificateRecord

BATCH = 5000


def fill(workspace: Workspace, count: int) -> None:
    """So many rows, as the store keeps them."""
    store = workspace.store
    (authority,) = (item for item in store.authorities() if item.hierarchy == "device" and item.issuing)
    example = os.urandom(430)
    for start in range(0, count, BATCH):
        now = datetime.now(UTC).replace(microsecond=0)
        records = [
            CertificateRecord(
                issuer=authority.number,
                serial=Serial.draw(os.urandom, now),
                key_hash=os.urandom(16),
                entity=EntityId(b"\x02" + os.urandom(7)),
                profile="device",
                not_before=now,
                not_after=NEVER,
                der=example,
                usage=KeyUsage.DIGITAL_SIGNATURE,
                subscriber=0,
                status=Status.PENDING,
                request=os.urandom(16),
            )
            for _ in range(min(BATCH, count - start))
        ]
        with store.act(Act("bench.filled", "bench", now, {"count": len(records)})) as tx:
            tx.reserve_serials(authority.number, [record.serial for record in records], "bench")
            tx.store_certificates(records)
