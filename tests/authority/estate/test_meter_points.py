"""Registration data comes in whole or not at all, and says who is registered at any moment."""

from pathlib import Path

import pytest

from smki.authority.estate import Registered, registered_at
from smki.authority.estate.intake import MAX_WRONG, Report
from smki.authority.estate.meter_points import as_json, import_registrations, moment
from smki.authority.workspace import Workspace
from smki.errors import SmkiError
from smki.meter_point import MeterPoint
from smki.store.estate_records import Tally
from tests.authority.estate.people import (
    GAS,
    NORTH,
    POINT,
    SOUTH,
    WIRES,
    as_csv,
    as_lines,
    entries,
    noon,
    registration,
)
from tests.house import founded


def codes(report: Report) -> list[tuple[int, str]]:
    return [(item.line, item.code) for item in report.wrong]


def test_a_row_holds_until_the_next_and_is_changed_by_its_like(workspace: Workspace, tmp_path: Path) -> None:
    rows = [registration(), registration("2026-12-01T06:00:00Z", SOUTH), registration(point=GAS, operator=None)]
    report = import_registrations(workspace, [as_csv(tmp_path / "a.csv", rows)])
    assert (report.rows, report.tally, report.wrong) == (3, Tally(added=3), [])
    assert registered_at(workspace, POINT, noon(21)) == Registered(NORTH, WIRES, moment("2026-01-01"))
    assert registered_at(workspace, POINT, moment("2026-12-01T06:00:00Z")) == Registered(
        SOUTH, WIRES, moment("2026-12-01T06:00:00Z")
    )
    assert registered_at(workspace, POINT, moment("2025-12-31")) is None
    assert registered_at(workspace, MeterPoint("2000000000006"), noon(21)) is None
    rows[1] = registration("2026-12-01T06:00:00Z", NORTH)  # the switch was taken back
    report = import_registrations(workspace, [as_lines(tmp_path / "b.jsonl", rows)])
    assert report.tally == Tally(changed=1, unchanged=2)
    words = as_json(workspace, POINT, noon(21))
    assert [item["state"] for item in words["registrations"]] == ["present", "pending"]
    assert words["registered"]["supplier"] == {"entity": str(NORTH), "organisation": "North Supply"}


def test_every_import_stands_in_the_log(workspace: Workspace, tmp_path: Path) -> None:
    report = import_registrations(workspace, [as_csv(tmp_path / "a.csv", [registration()])])
    (facts,) = entries(workspace, "registration.imported")
    assert facts["files"] == report.files
    assert (facts["rows"], facts["added"], facts["changed"], facts["unchanged"]) == (1, 1, 0, 0)
    assert len(facts["digest"]) == 64
    assert workspace.store.latest_checkpoint() is not None


def test_more_than_a_chunk_is_one_act_with_more_entries(workspace: Workspace, tmp_path: Path) -> None:
    from smki.authority.estate import intake

    rows = [registration(f"20{year:02d}-01-{day:02d}") for year in range(1, 99) for day in range(1, 29)]
    many = as_csv(tmp_path / "a.csv", rows[: 2 * intake.MAX_FILES])
    assert import_registrations(workspace, [many]).tally.added == 200
    many = as_lines(tmp_path / "b.jsonl", [{**row, "meter_point": str(GAS)} for row in rows] + rows[200:] + more())
    assert import_registrations(workspace, [many]).tally.added == 2 * len(rows) - 200 + 200
    assert [facts["rows"] for facts in entries(workspace, "registration.imported")] == [200, 5000, 488]


def more() -> list[dict[str, str]]:
    return [registration(f"1999-{month:02d}-{day:02d}") for month in range(1, 13) for day in range(1, 29)][:200]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"meter_point": "1312345678908"}, "meter-point.check"),
        ({"meter_point": ""}, "meter-point.form"),
        ({"supplier": "90-B3"}, "entity.form"),
        ({"supplier": "90-B3-D5-1F-FF-FF-FF-FF"}, "registration.not-enrolled"),
        ({"supplier": str(WIRES)}, "registration.role"),
        ({"network_operator": str(NORTH)}, "registration.role"),
        ({"since": "1.1.2026"}, "registration.since"),
        ({"since": "2026-01-01T00:00:00+01:00"}, "registration.since"),
        ({"since": "0001-01-01"}, "registration.since"),
        ({"since": "9999-12-31"}, "registration.since"),
        ({"supplier": "x" * 201}, "intake.line"),
        ({"supplier": "a\x1b[2J"}, "intake.line"),
    ],
)
def test_one_wrong_line_and_nothing_is_taken(
    change: dict[str, str], code: str, workspace: Workspace, tmp_path: Path
) -> None:
    size = workspace.store.audit_size()
    rows = [registration(), {**registration("2026-02-01"), **change}]
    for form in (as_csv, as_lines):
        report = import_registrations(workspace, [form(tmp_path / form.__name__, rows)])
        assert codes(report) == [(3 if form is as_csv else 2, code)]
        assert report.tally == Tally()
    assert workspace.store.registrations.of(POINT) == ()
    assert workspace.store.audit_size() == size


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("meter_point,supplier,network_operator\n", [(1, "intake.column")]),
        ("meter_point,supplier,network_operator,since,more\n1,2,3,4,5\n", [(1, "intake.column")]),
        ("since,since,meter_point,supplier,network_operator\n", [(1, "intake.column")]),
        ("meter_point,supplier,network_operator,since\n1,2\n\n1\n", [(2, "intake.line"), (4, "intake.line")]),
        ('meter_point,supplier,network_operator,since\n"1\n', [(2, "intake.line")]),
        ("\xff\n", [(1, "intake.line")]),
        ('{"meter_point": 1}\n{"a": {"b": 1}}\n{\n', [(1, "intake.line"), (2, "intake.line"), (3, "intake.line")]),
        ("{" * 8000 + "\n", [(1, "intake.line")]),
        ('{"x":"' + "x" * 20_000 + '"}\n{}\n', [(1, "intake.line")]),
        ('{}\n{"x":"' + "x" * 20_000 + '"}\n{}\n', [(1, "intake.column"), (2, "intake.line"), (3, "intake.column")]),
        (",".join(f"c{n}" for n in range(65)), [(1, "intake.column")]),
    ],
)
def test_what_is_no_file_of_rows_is_told_line_by_line(
    text: str, wrong: list[tuple[int, str]], workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "rows"
    path.write_bytes(text.encode("latin-1"))
    report = import_registrations(workspace, [path])
    assert codes(report) == wrong
    assert report.tally == Tally()


def test_a_row_stands_once_in_an_import(workspace: Workspace, tmp_path: Path) -> None:
    paths = [as_csv(tmp_path / name, [registration()]) for name in "ab"]
    report = import_registrations(workspace, paths)
    assert [(item.file, item.line, item.code) for item in report.wrong] == [("b", 2, "registration.twice")]


def test_a_report_is_bounded_and_an_import_too(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_text("meter_point,supplier,network_operator,since\n" + "x,,,2026-01-01\n" * (MAX_WRONG + 7))
    report = import_registrations(workspace, [path])
    assert (len(report.wrong), report.wrong_count) == (MAX_WRONG, MAX_WRONG + 7)
    policy = workspace.home / "policies" / "registration.toml"
    policy.write_text(policy.read_text().replace("largest_import = 250000", "largest_import = 5"))
    workspace.__dict__.pop("policies")
    for paths, code in (
        ([path], "intake.count"),
        ([path] * 101, "intake.files"),
        ([tmp_path / "none"], "intake.unreadable"),
        ([tmp_path], "intake.unreadable"),
    ):
        with pytest.raises(SmkiError) as refusal:
            import_registrations(workspace, paths)
        assert refusal.value.code == code
    (tmp_path / "empty").touch()
    with pytest.raises(SmkiError) as refusal:
        import_registrations(workspace, [tmp_path / "empty"])
    assert refusal.value.code == "intake.empty"


def test_policy_says_whether_gas_is_checked_and_who_is_taken(workspace: Workspace, tmp_path: Path) -> None:
    stranger = {**registration(point=MeterPoint("3938424404")), "supplier": "90-B3-D5-1F-FF-FF-FF-FF"}
    path = as_csv(tmp_path / "a.csv", [stranger])
    assert codes(import_registrations(workspace, [path])) == [(2, "meter-point.check")]
    policy = workspace.home / "policies" / "registration.toml"
    policy.write_text(policy.read_text().replace("= true", "= false"))
    workspace.__dict__.pop("policies")
    assert import_registrations(workspace, [path]).tally == Tally(added=1)


@pytest.mark.parametrize("value", [0, 1_000_001])
def test_no_policy_takes_more_than_a_million(value: int, workspace: Workspace) -> None:
    for name in ("registration", "inventory"):
        policy = workspace.home / "policies" / f"{name}.toml"
        policy.write_text(policy.read_text().replace("largest_import = 250000", f"largest_import = {value}"))
        workspace.__dict__.pop("policies", None)
        with pytest.raises(SmkiError) as refusal:
            getattr(workspace.policies, name)
        assert refusal.value.code == "policy.import"


def test_a_users_workspace_believes_what_it_is_told(tmp_path: Path) -> None:
    with founded(tmp_path / "cos", kind="user") as house:
        report = import_registrations(house.workspace, [as_csv(tmp_path / "a.csv", [registration()])])
        assert (report.tally, report.wrong) == (Tally(added=1), [])
