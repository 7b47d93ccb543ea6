"""The watch over the register: what it did not see happen it does not pass over."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from smki.authority.ocsp.kept import Answer
from smki.authority.ocsp.reception import Reception
from smki.authority.ocsp.serving import WatchThread
from smki.store.store import Store
from tests.authority.desk import Desk as Issuing
from tests.authority.ocsp.served import OCA, now
from tests.authority.ocsp.test_desk import query, serials, told
from tests.authority.revocation.world import World
from tests.house import House


class Watched:
    """A desk that answers, what it keeps, and a watch that looks when it is told to."""

    def __init__(self, house: House, loop: asyncio.AbstractEventLoop) -> None:
        self.house, self.loop = house, loop
        self.desk, _ = told(house)
        self.desk.open()
        self.reception = Reception(self.desk.policy, now, None)  # type: ignore[arg-type]  # nobody asks
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.watch = self.another()

    def another(self, url: str = "") -> WatchThread:
        tell: Callable[..., None] = lambda event, **facts: self.events.append((event, facts))  # noqa: E731
        return WatchThread(url or self.desk.store_url, self.desk, self.reception, self.loop, tell)

    def keep(self) -> bytes:
        (answer,) = self.desk.answer([query(self.house, serials(self.house)["good"].number)])
        assert isinstance(answer, Answer)
        assert answer.plain
        self.reception.keep([answer])
        return answer.plain

    def look(self, store: Store) -> None:
        self.watch._look(store)
        self.loop.run_until_complete(asyncio.sleep(0))

    def is_kept(self, plain: bytes) -> bool:
        return self.reception.kept.get(plain, now()) is not None

    def revoke(self) -> None:
        World(Issuing(self.house)).revoke(serials(self.house)["good"])


@contextmanager
def watched(house: House) -> Iterator[tuple[Watched, Store]]:
    loop = asyncio.new_event_loop()
    store = Store.open(house.workspace.store_url)
    try:
        yield Watched(house, loop), store
    finally:
        store.close()
        loop.close()


def test_what_was_revoked_before_the_first_look_is_seen_by_it(answering: House) -> None:
    """The watch begins late: its connection to the store was refused while the desk had one."""
    with watched(answering) as (found, store):
        plain = found.keep()
        found.revoke()
        found.look(store)
        assert not found.is_kept(plain)


def test_what_is_revoked_between_two_looks_is_seen_and_the_rest_stays(answering: House) -> None:
    with watched(answering) as (found, store):
        plain = found.keep()
        found.look(store)
        assert found.is_kept(plain)
        found.look(store)
        assert found.is_kept(plain)
        found.revoke()
        found.look(store)
        assert not found.is_kept(plain)


def test_what_was_kept_of_a_store_that_was_put_back_is_forgotten(answering: House) -> None:
    """It counts fewer revocations than before: what was answered meanwhile, another store said."""
    with watched(answering) as (found, store):
        found.look(store)
        record = answering.workspace.store.authority(OCA)
        assert record is not None
        before = found.watch._numbers[record.number]
        found.watch._numbers[record.number] = before + 5
        plain = found.keep()
        found.reception.kept._seen[record.number] = before + 5
        found.look(store)
        assert found.watch._numbers[record.number] == before
        again = found.keep()
        assert again == plain
        assert found.is_kept(plain), "and what it says now is kept again"


def test_a_watch_without_a_store_says_so_once(answering: House) -> None:
    with watched(answering) as (found, _):
        blind = found.another(f"sqlite:{answering.home / 'nowhere.db'}")
        blind.start()
        for _ in range(200):
            if len(found.events) > 1:
                break
            blind.join(0.01)
        blind.stopped.set()
        blind.join(5)
        assert [(event, facts["code"]) for event, facts in found.events] == [("ocsp.trouble", "store.missing")]
