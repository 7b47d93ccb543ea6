"""Run tests on mutants: pytest collects once, and each mutant is tried in a child that was forked from there.

Where a mutant changes a function, the child puts the changed code into the function that is there (warm). Where it
changes what runs on import, or a function that ran before the fork, the child imports everything anew (cold).
"""

import gc
import importlib.util
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, Phase, settings

from scripts.mutating.operators import Mutant

QUIET = [
    "-s", "--assert=plain", "-W", "ignore", "-c", os.devnull, "-p", "no:cacheprovider",
    "-p", "no:terminal", "-p", "no:xdist", "-p", "no:timeout", "-p", "no:cov", "-p", "no:faulthandler",
]  # fmt: skip
_MEMORY = 4 << 30
_PATIENCE, _GRACE = 10, 3.0  # times a test's usual seconds of the processor, and seconds
_WAITING = 120.0  # seconds in which it may wait for something
_TIME_IS_UP = {signal.SIGALRM, signal.SIGPROF}
_SURVIVED, _KILLED, _STUCK = 0, 1, 3


Functions = Mapping[tuple[str, str, int], Sequence[FunctionType]]
"""By file, name and first line."""


class Outcome(StrEnum):
    KILLED = "killed"
    TIMEOUT = "timeout"
    SURVIVED = "survived"
    UNCOVERED = "uncovered"
    """No test runs the line: it survived, too."""


class Tests:
    """A pytest plugin: once all tests are collected, it hands them over in place of running them."""

    def __init__(self, root: Path, use: Callable[["Tests"], None]) -> None:
        self._root, self._use = root, use
        self.items: dict[str, pytest.Item] = {}
        self.functions: Functions = {}
        self.imported: set[tuple[str, str, int]] = set()
        """Code that ran before the fork: file, name, line."""

    def collect(self, folders: Sequence[str], *more: str) -> int:
        sys.setprofile(self._note)
        try:
            return int(pytest.main([*QUIET, f"--rootdir={self._root}", *more, *folders], plugins=[self]))
        finally:
            sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_name != "<module>" and code.co_filename.startswith(str(self._root)):
            self.imported.add((code.co_filename, code.co_name, code.co_firstlineno))

    def pytest_configure(self) -> None:
        """Examples are the same in every run, and no time goes into making them small."""
        phases = [Phase.explicit, Phase.generate]
        checks = list(HealthCheck)
        common = {"phases": phases, "suppress_health_check": checks, "database": None, "derandomize": True}
        settings.register_profile("mutation", deadline=None, **common)  # type: ignore[arg-type]
        settings.load_profile("mutation")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        sys.setprofile(None)
        self.items = {item.nodeid: item for item in session.items}
        self.functions = functions_of(self._root)
        gc.freeze()  # children leave alone what they share
        self._use(self)
        return True


def run(item: pytest.Item) -> bool:
    """Run a test with all that it needs made for it, and unmade; whether it passed (or was skipped)."""
    watch = _Watch()
    item.config.pluginmanager.register(watch)
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    item.config.pluginmanager.unregister(watch)
    return not watch.failed


class _Watch:
    """Sees whether a test fails, before anybody describes the failure."""

    def __init__(self) -> None:
        self.failed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
            self.failed = True


def fork(work: Callable[[], int]) -> int:
    """A child that does this and is gone; its process number."""
    child = os.fork()
    if child:
        return child
    code = _STUCK
    with suppress(BaseException):  # what tests raise is seen in `run`: this could not try the mutant
        code = work()
    os._exit(code)


def outcome(status: int) -> Outcome | None:
    """What a child's end says; None: it could not put the mutant in place."""
    if os.WIFSIGNALED(status):
        return Outcome.TIMEOUT if os.WTERMSIG(status) in _TIME_IS_UP else Outcome.KILLED
    code = os.WEXITSTATUS(status)
    return None if code == _STUCK else Outcome.SURVIVED if code == _SURVIVED else Outcome.KILLED


class _CannotApply(Exception):
    """The function's code does not fit into the function that is there."""


def functions_of(root: Path) -> Functions:
    """Every function there is whose code is from below here."""
    found: dict[tuple[str, str, int], list[FunctionType]] = {}
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename.startswith(str(root)):
            code = one.__code__
            found.setdefault((code.co_filename, code.co_name, code.co_firstlineno), []).append(one)
    return found


def warm(
    mutant: Mutant, root: Path, items: Sequence[tuple[pytest.Item, float]], functions: Functions, tell: int
) -> int:
    """In a child: exchange the code, run the tests until one fails, and tell its name."""
    assert mutant.outer is not None
    path = root / mutant.file
    code = _find(_compiled(path, mutant.applied(path.read_bytes())), *mutant.outer)
    _limit()
    for function in functions.get((str(path), *mutant.outer), ()):
        _exchange(function, code)
    for item, seconds in items:
        _give(seconds)
        if not run(item):
            os.write(tell, item.nodeid.encode())
            return _KILLED
    return _SURVIVED


def cold(mutant: Mutant, root: Path, seconds: Mapping[str, float]) -> int:
    """In a child: forget what was imported, import it with the mutant, collect and run the tests until one fails."""
    path = root / mutant.file
    for name, module in list(sys.modules.items()):
        if _is_below(getattr(module, "__file__", None), root):
            del sys.modules[name]
    sys.meta_path.insert(0, _Finder(_module(mutant.file), _compiled(path, mutant.applied(path.read_bytes())), path))
    _limit()
    _give(sum(seconds.values()) + _GRACE)
    failed: list[str] = []

    def use(tests: Tests) -> None:
        for name in seconds:
            if name not in tests.items or not run(tests.items[name]):
                failed.append(name)
                return

    files = sorted({name.partition("::")[0] for name in seconds})
    code = Tests(root, use).collect([str(root / file) for file in files])
    return _KILLED if failed or code not in {0, int(pytest.ExitCode.NO_TESTS_COLLECTED)} else _SURVIVED


def _limit() -> None:
    """A mutant may run for ever, or ask for all memory there is."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _give(seconds: float) -> None:
    """The time a test has from now on: of the processor, so that a busy machine is no failure."""
    signal.setitimer(signal.ITIMER_PROF, _PATIENCE * seconds + _GRACE)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE * (_PATIENCE * seconds + _GRACE) + _WAITING)


def _compiled(path: Path, source: bytes) -> CodeType:
    return compile(source, str(path), "exec", dont_inherit=True)


def _find(code: CodeType, name: str, line: int) -> CodeType:
    waiting = [code]
    while waiting:
        one = waiting.pop()
        if (one.co_name, one.co_firstlineno) == (name, line):
            return one
        waiting += [inner for inner in one.co_consts if isinstance(inner, CodeType)]
    raise _CannotApply(name)


def _exchange(function: FunctionType, code: CodeType) -> None:
    try:
        function.__code__ = code
    except ValueError:  # it closes over other variables than before
        raise _CannotApply(code.co_name) from None


def _is_below(path: str | None, root: Path) -> bool:
    """Whether a file is one of the checkout's own; this program is, and stays as it is."""
    own = (str(root / ".venv"), str(Path(__file__).parent))
    return path is not None and path.startswith(str(root)) and not path.startswith(own)


def _module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class _Finder(MetaPathFinder, InspectLoader):
    """Finds one module, and it is the mutant."""

    def __init__(self, name: str, code: CodeType, path: Path) -> None:
        self._name, self._code, self._path = name, code, path

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        del path, target
        if fullname != self._name:
            return None
        package = self._path.name == "__init__.py"
        return importlib.util.spec_from_file_location(
            fullname, self._path, loader=self,
            submodule_search_locations=[str(self._path.parent)] if package else None,
        )  # fmt: skip

    def get_code(self, fullname: str) -> CodeType:
        del fullname
        return self._code

    def get_source(self, fullname: str) -> str | None:
        del fullname
        return None

    def is_package(self, fullname: str) -> bool:
        del fullname
        return self._path.name == "__init__.py"


def leave(code: int) -> NoReturn:
    """End without taking apart what was imported."""
    sys.stdout.flush()
    os._exit(code)
