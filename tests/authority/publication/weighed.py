"""Publishes one list, and says how much memory its process had at most: python -m ...weighed HOME."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from smki.authority.publication.act import publish_lists
from tests.authority.publication.killed import NAME
from tests.house import opened

if __name__ == "__main__":
    house = opened(Path(sys.argv[1]), lambda: datetime.now(UTC))
    (outcome,) = publish_lists(house.workspace, (NAME,)).outcomes
    assert outcome.record is not None, outcome.fault
    (most,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(most.split()[1]) * 1024, outcome.record.size)
