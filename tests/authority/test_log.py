"""What every entry of the log says, whatever was done: which act, who, when, under which policies."""

import json

import pytest

from smki.authority.log import act
from tests.authority.desk import Desk
from tests.house import NOW


@pytest.mark.requirement("R-AUD-2")
def test_every_entry_says_what_was_done_by_whom_when_and_under_which_policies(desk: Desk) -> None:
    desk.issue(desk.order(), desk.device_csr())
    entries = [json.loads(entry.body) for entry in desk.workspace.store.audit_entries()]
    assert len({entry["act"] for entry in entries}) > 5, "a whole authority was stood up"
    for entry in entries:
        assert entry["act"]
        assert entry["actor"] == "tester"
        assert entry["time"] == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
        assert len(entry["facts"]["policies"]) == 64


@pytest.mark.requirement("R-AUD-2")
def test_a_policy_that_changed_is_in_the_log_before_the_first_act_under_it(desk: Desk) -> None:
    workspace = desk.workspace
    before = workspace.policies.digest
    path = desk.house.home / "policies" / "quorum.toml"
    path.write_text(path.read_text() + "# another octet\n")
    workspace.__dict__.pop("policies")
    with act(workspace, "test.done"):
        pass
    adopted, done = (json.loads(entry.body) for entry in list(workspace.store.audit_entries())[-2:])
    assert (adopted["act"], done["act"]) == ("policies.adopted", "test.done")
    assert adopted["facts"]["policies"] == done["facts"]["policies"] != before
    assert len(adopted["facts"]["files"]["quorum.toml"]) == 64
