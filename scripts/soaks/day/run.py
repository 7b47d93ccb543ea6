"""The day: everybody at work at once, somebody who does harm, the evening, and the audit."""

import json
import os
import shutil
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from scripts.soaks.day import commands, keeping
from scripts.soaks.day.audit.checks import audit
from scripts.soaks.day.audit.scene import Checked, Scene
from scripts.soaks.day.faults import Clock, Disk, Fault, Harm
from scripts.soaks.day.hands import Hands
from scripts.soaks.day.keeping import Asker
from scripts.soaks.day.plan import Day
from scripts.soaks.day.world import make
from tests.postgres import Server, running
from tests.prefork import Prefork

Engine = Literal["postgresql", "sqlite"]
Tell = Callable[[str], None]
_EVENING, _DELIVER = "evening", "deliver"
_ALSO = ("pkilint.loader", "pkilint.pkix.certificate", "pkilint.pkix.crl", "psycopg")
"""What commands import when they need it, and need often."""
_SOME = 200
_PATIENCE = 60.0


@dataclass(frozen=True)
class Size:
    """How much of a day."""

    homes: int
    seconds: float
    harmed: bool = True


@dataclass(frozen=True)
class Over:
    """What became of a day."""

    engine: Engine
    seed: int
    hands: Hands
    faults: list[Fault]
    disk: str
    asked: tuple[int, int]
    """How often the responder answered, and how often it was silent."""
    took: dict[str, float]
    checks: list[Checked]

    @property
    def wrong(self) -> list[str]:
        return [*self.hands.wrong, *(f"{one.name}: {line}" for one in self.checks for line in one.wrong)]


def soak(folder: Path, size: Size, seed: int, engine: Engine, tell: Tell, keep: Path | None = None) -> Over:
    """One whole day, and its audit. If something is wrong, all files of it are kept."""
    took: dict[str, float] = {}

    def timed(name: str, begin: float) -> None:
        took[name] = time.monotonic() - begin
        tell(f"{name}: {took[name]:.0f} s")

    with ExitStack() as stack:
        disk = Disk(folder / "disk")
        stack.callback(disk.close)
        server = stack.enter_context(running()) if engine == "postgresql" else None
        clock = Clock(folder / "clock") if Clock.library() else None
        hands = stack.enter_context(prepared(folder, clock))
        begin = time.monotonic()
        day = Day(make(folder, size.homes, hands, _stores(server)), seed)
        timed("the world is made", begin)
        harm = Harm(day, size.seconds, server, disk, clock)
        begin = time.monotonic()
        asker = work(day, size.seconds, harm if size.harmed else None, clock)
        timed("the day is over", begin)
        begin = time.monotonic()
        evening(day)
        timed("the evening is over", begin)
        begin = time.monotonic()
        checks = list(audit(Scene(folder)))
        timed("the audit is done", begin)
        over = Over(engine, seed, hands, harm.told, disk.words, (asker.told, asker.silent), took, checks)
        if keep is not None and over.wrong:
            shutil.copytree(folder, keep)
        return over


def _stores(server: Server | None) -> Callable[[str], str | None]:
    def store(name: str) -> str | None:
        if server is None:
            return None
        server.create(f"day_{name}")
        return server.url(f"day_{name}")

    return store


@contextmanager
def prepared(folder: Path, clock: Clock | None) -> Iterator[Hands]:
    """Where processes come from; each reads the time that the clock's file says."""
    (folder / "said").mkdir()
    environment = {} if clock is None else clock.environment()
    os.environ.update(environment)  # each process has ours when it begins
    if clock is not None:
        os.environ["LD_PRELOAD"] = str(Clock.library())
    try:
        with Prefork("scripts.soaks.day.meters", *_ALSO) as prefork:
            os.environ.pop("LD_PRELOAD", None)
            yield Hands(prefork, folder / "said")
    finally:
        for name in environment:
            os.environ.pop(name, None)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def desks(day: Day, asker: Asker, port: int) -> list[tuple[str, Callable[[], None]]]:
    """Who works at what."""
    listen = f"127.0.0.1:{port}"
    return [
        *((f"sign {one}", partial(commands.sign, day, one)) for one in ("north", "south")),
        *((f"broker {one}", partial(commands.broker, day, one)) for one in ("north", "south")),
        (_DELIVER, lambda: commands.deliver(day)),
        ("change", lambda: commands.change(day)),
        ("quarantine", lambda: commands.quarantine(day)),
        ("issue", lambda: keeping.issue(day)),
        ("revoke", lambda: keeping.revoke(day)),
        ("appoint", lambda: keeping.appoint(day)),
        ("lists", lambda: keeping.bring_lists(day)),
        ("backup", lambda: keeping.backups(day)),
        ("auditor", lambda: keeping.auditor(day)),
        ("mirror", lambda: keeping.mirror(day)),
        ("asker", lambda: asker.run(port)),
        ("crl watch", lambda: keeping.serve(day, "crl watch", "crl", "watch")),
        ("ocsp", lambda: keeping.serve(day, "ocsp", "ocsp", "serve", "--listen", listen)),
    ]


def work(day: Day, seconds: float, harm: Harm | None, clock: Clock | None) -> Asker:
    """Everybody works until the time is over; what is under way then ends after every moment any clock ever said."""
    port = free_port()
    asker = Asker(day)
    people = [threading.Thread(target=_guarded(day, name, desk), name=name) for name, desk in desks(day, asker, port)]
    if harm is not None:
        people.append(threading.Thread(target=_guarded(day, "harm", harm.run)))
    for one in people:
        one.start()
    try:
        day.hands.stop.wait(seconds)
    finally:  # whoever interrupts us waits for what is under way, too
        day.hands.stop.set()
        if clock is not None:
            clock.set(clock.ahead)
        for one in people:
            if one.name != _DELIVER:
                one.join()
        day.all_handed_out.set()
    for one in people:
        one.join()
    return asker


def _guarded(day: Day, name: str, desk: Callable[[], None]) -> Callable[[], None]:
    """A desk that fails by our own mistake says so, and the day goes on."""

    def run() -> None:
        try:
            desk()
        except Exception:  # noqa: BLE001 - told, and nothing else is stopped by it
            day.hands.wrong.append(f"desk {name}: {traceback.format_exc()[-1500:]}")

    return run


def evening(day: Day) -> None:
    """What is under way comes to its end, and everybody writes down what they have."""
    day.hands.stop.clear()
    world, hands = day.world, day.hands
    (world.folder / "evening").mkdir()
    last = day.out("resumed.admitted")
    resume = ("broker", "submit", "--resume", *commands.broker_key(day))
    hands.must(_EVENING, world.at("broker"), *resume, out=last, may=(0, 1, 3))
    commands.hand(day, last)
    hands.must(_EVENING, world.authority, "crl", "publish", "--all")
    _ask(day)
    for name in world.workspaces:
        home, backup = world.at(name), world.folder / "evening" / f"{name}.backup"
        hands.must(_EVENING, home, "init", home)  # signs the log, if whoever acted last died before
        hands.must(_EVENING, home, "store", "backup", backup)
        hands.must(_EVENING, home, "store", "verify", backup)
        hands.must(_EVENING, home, "audit", "export", out=backup.with_suffix(".log"))
    published = world.authority / "published"
    hands.must(
        _EVENING, world.authority, "ca", "verify-published", published, "--key", published / "audit" / "verifier-key"
    )


def _ask(day: Day) -> None:
    """What the responder says of all that is revoked, and of some that is not."""
    port, told = free_port(), dict[str, str]()
    listen = f"127.0.0.1:{port}"
    service = threading.Thread(target=keeping.serve, args=(day, "ocsp", "ocsp", "serve", "--listen", listen))
    service.start()
    asker = Asker(day)
    known = {one.serial for one in day.revoked}
    good = [serial for serial in day.issued if serial not in known]
    until = time.monotonic() + _PATIENCE
    try:
        for serial in [*known, *day.chance(_EVENING).sample(good, min(len(good), _SOME))]:
            while (said := asker.ask(port, serial)) is None and time.monotonic() < until:
                time.sleep(0.1)
            told[serial] = said or "nothing"
    finally:
        day.hands.stop.set()
        service.join()
    (day.world.folder / "ocsp.json").write_text(json.dumps(told))
