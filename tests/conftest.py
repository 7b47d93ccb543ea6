"""What holds for every test."""

import os
import shutil
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.once import close_place, deserted, open_place, place, root
from tests.postgres import stop_all
from tests.prefork import Prefork

settings.register_profile("smki", deadline=None)  # a busy machine is no failure
settings.load_profile("smki")
_HELD = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of commands are started: they find theirs compiled
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(root()))
    if _is_worker(config):
        return
    for folder in deserted():
        stop_all(folder)
        shutil.rmtree(folder, ignore_errors=True)
    config.stash[_HELD] = open_place()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _HELD in config.stash:
        stop_all(place())
        close_place()
        os.close(config.stash[_HELD])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest. Each worker begins with its part of the list, so each part has some in front."""
    slow = sorted((item for item in items if _seconds(item)), key=_seconds, reverse=True)
    rest = [item for item in items if not _seconds(item)]
    left, items[:] = len(items), []
    count = int(getattr(config, "workerinput", {}).get("workercount", 1))
    for worker in range(count):
        share = left // (count - worker)
        left -= share
        mine = slow[worker::count]
        items += mine
        items += rest[: max(0, share - len(mine))]
        del rest[: max(0, share - len(mine))]
    items += rest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Lines are not counted in what runs the same ones again and again: it would take twice as long."""
    tracer = sys.gettrace()
    if _seconds(item) or _is_property(item):
        sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


@pytest.fixture(scope="session")
def prefork() -> Iterator[Prefork]:
    """Where processes come from that have all imported: smki, and what is run to be killed."""
    parties = ("tests.parties.killed", "tests.parties.cos.killed", "tests.parties.recovery.killed")
    with Prefork(*parties, "tests.authority.publication.killed") as made:
        yield made


def _seconds(item: pytest.Item) -> float:
    """How long a test takes, as its mark says, if it has one."""
    mark = item.get_closest_marker("slow")
    return 0 if mark is None else float(mark.args[0])


def _is_property(item: pytest.Item) -> bool:
    """Whether it runs many examples."""
    return getattr(getattr(item, "obj", None), "is_hypothesis_test", False)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
