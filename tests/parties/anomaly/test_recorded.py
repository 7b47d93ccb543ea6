"""Recorded traffic (tests/golden/anomaly-*.jsonl) is judged as it was: whoever changes a detector sees what changes.

`python -m scripts.soaks.traffic_record tests/golden` records it anew.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smki.entity import EntityId, RemotePartyRole
from smki.parties.anomaly.counts import Counts
from smki.parties.anomaly.detectors import held, judge
from smki.parties.anomaly.limits import NO_LIMITS
from smki.parties.anomaly.seen import Seen, Tally
from tests.parties.anomaly.streams import shipped

RECORDED = sorted((Path(__file__).parent.parent.parent / "golden").glob("anomaly-*.jsonl"))
_SUPPLY = {0x0050, 0x0081, 0x004F, 0x0051, 0x0085}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_traffic_is_judged_as_it_was(path: Path) -> None:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [Tally(line[1], line[2], bytes.fromhex(line[3]), *line[4:]) for line in lines if line[0] == "tally"]
    counts, before, some = Counts.load(rows), dict[str, list[tuple[int, datetime]]](), 0
    for number, line in enumerate(lines):
        if line[0] == "tally":
            continue
        _, second, user, role, code, target, area, values, expected = line
        at = datetime.fromtimestamp(second, UTC)
        seen = Seen(
            at,
            EntityId.parse(user),
            RemotePartyRole(role),
            code,
            EntityId.parse(target),
            area,
            tuple((path, value) for path, value in values),
            tuple(before.get(target, ())[-4:]),
        )
        found = judge(seen, counts, NO_LIMITS, shipped())
        counts.add(seen, "held" if held(found) else "admitted")
        counts.changes()
        if code in _SUPPLY and not held(found):
            before.setdefault(target, []).append((code, at))
        assert [one.detector + "!" * one.holds for one in found] == expected, f"line {number + 1}"
        some += bool(found)
    assert some


def test_there_are_recordings() -> None:
    assert len(RECORDED) == 4
