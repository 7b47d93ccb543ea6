"""Files written whole or not at all, with whatever file systems there are."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from smki.authority import safe_files
from smki.authority.safe_files import new_file, new_folder, write_new, write_over
from smki.errors import Refused, Unavailable

_WRITER = """
import signal, sys
from pathlib import Path
from smki.authority.safe_files import new_file
with new_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("half", flush=True)
    signal.pause()
"""


@pytest.fixture(params=["without a name", "with a name"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files in the making have no name, and where a file system knows no such files."""
    if request.param == "with a name":
        monkeypatch.setattr(safe_files, "_FILES", tmp_path / "none")
    made = tmp_path / "folder"
    made.mkdir()
    return made


def test_a_file_is_there_whole_with_its_mode_and_nothing_beside_it(folder: Path) -> None:
    write_new(folder / "file", b"first", 0o600)
    write_over(folder / "file", b"second", 0o640)
    assert [(one.name, one.read_bytes(), one.stat().st_mode & 0o777) for one in folder.iterdir()] == [
        ("file", b"second", 0o640)
    ]


def test_a_name_that_is_taken_is_refused_and_nothing_is_left(folder: Path) -> None:
    write_new(folder / "file", b"first")
    with pytest.raises(Refused, match="exists"):
        write_new(folder / "file", b"second")
    assert [(one.name, one.read_bytes()) for one in folder.iterdir()] == [("file", b"first")]


def test_what_fails_while_it_is_written_leaves_nothing(folder: Path) -> None:
    def half() -> None:
        with new_file(folder / "file") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert list(folder.iterdir()) == []


def test_whoever_is_killed_while_writing_leaves_nothing(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", _WRITER, tmp_path / "file"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"half\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert list(tmp_path.iterdir()) == []


def test_requests_that_find_no_room_are_not_half_there(tmp_path: Path) -> None:
    make: list[str] = [
        "device",
        "request",
        "00-DB-12-00-00-00-00-00",
        "--count",
        "50",
        "--out",
        f"{tmp_path}/requests.jsonl",
    ]
    command = [sys.executable, "-B", "-m", "smki", *make]  # -B: what Python keeps compiled would not be whole either
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=_little_room)
    assert done.returncode == 4
    assert "[file.write]" in done.stderr
    assert list(tmp_path.iterdir()) == []


def _little_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


_FOLDER_WRITER = """
import signal, sys
from pathlib import Path
from smki.authority.safe_files import new_folder
with new_folder(Path(sys.argv[1])) as inside:
    (inside / "first").write_bytes(b"of two")
    print("half", flush=True)
    signal.pause()
"""


def test_a_folder_has_its_name_once_all_is_in_it(tmp_path: Path) -> None:
    with new_folder(tmp_path / "all", 0o700) as inside:
        (inside / "one").write_bytes(b"1")
        assert not (tmp_path / "all").exists()
    assert [(one.name, one.stat().st_mode & 0o777) for one in tmp_path.iterdir()] == [("all", 0o700)]
    assert [one.name for one in (tmp_path / "all").iterdir()] == ["one"]


def test_a_folder_that_cannot_be_filled_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "all") as inside:
        (inside / "one").write_bytes(b"%d" % (1 // 0))
    assert list(tmp_path.iterdir()) == []


def _fill_while_another_does(folder: Path) -> None:
    with new_folder(folder) as inside:
        (inside / "mine").touch()
        folder.mkdir()
        (folder / "theirs").touch()


def test_no_folder_is_written_over_however_late_it_comes(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(Refused, match="exists"), new_folder(tmp_path / "there"):
        pytest.fail("nothing is to be made")
    with pytest.raises(Refused, match="exists"):
        _fill_while_another_does(tmp_path / "late")
    assert sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*")) == ["late", "late/theirs", "there"]


def _fill_while_another_writes(folder: Path) -> None:
    with new_folder(folder):
        folder.write_bytes(b"theirs")


def test_a_folder_takes_no_name_that_a_file_a_link_or_no_folder_can_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nowhere").symlink_to("missing")
    for name in (".", "..", "/", "nowhere"):
        with pytest.raises(Refused, match="exists"), new_folder(Path(name)):
            pytest.fail("nothing is to be made")
    for name in (".", "/"):
        with pytest.raises(Refused, match="exists"):
            write_new(Path(name), b"data")
    with pytest.raises(Refused, match="exists"):
        _fill_while_another_writes(Path("late"))
    with pytest.raises(Unavailable, match="Not a directory"), new_folder(Path("late/inside")):
        pytest.fail("nothing is to be made")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["late", "nowhere"]


def test_who_is_killed_leaves_no_folder_under_its_name(tmp_path: Path) -> None:
    writer = [sys.executable, "-c", _FOLDER_WRITER, str(tmp_path / "all")]
    with subprocess.Popen(writer, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half\n"
        child.send_signal(signal.SIGKILL)
    assert not (tmp_path / "all").exists()
