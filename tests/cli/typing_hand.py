"""Commands as a person types them, in this process: exit code, what was printed, what was complained of."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from smki.cli.main import run
from smki.cli.session import Session
from tests.house import NOW, no_prompt

Type = Callable[..., tuple[int, str, str]]


def typing_in(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    def type_(*arguments: str | Path, typed: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed)))
        code = run(["--home", str(home), *map(str, arguments)], Session(lambda: NOW, no_prompt))
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out, printed.err

    return type_
