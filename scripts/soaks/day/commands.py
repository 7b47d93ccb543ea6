"""Commands from those who order to those who obey, signed, admitted, delivered; and homes that change hands."""

import json
import queue
import random
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from scripts.soaks.day.plan import Day
from scripts.soaks.day.world import SUPPLIERS, WIRES, meter, point
from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.gbcs.header import MessageCode
from smki.gbcs.message import Message
from smki.gbcs.words import Vocabulary, read
from tests.parties.people import ECS43, ECS44, arming

DELIVER = "scripts.soaks.day.meters:deliver"
OK, SOME, NONE, HELD = 0, 1, 3, 6
_ROUND = 24
_DISCONNECTIONS = 5  # every so many rounds
_MOVED = 5
_WAITING = 2


@cache
def _vocabulary() -> Vocabulary:
    policies = load_policies(SHIPPED / "policies")
    return Vocabulary(policies.use_cases, policies.names)


def sign(day: Day, supplier: str) -> None:
    """A supplier's desk: now and then it would turn supplies off, and soon more than anybody believes."""
    chance, number = day.chance(f"sign {supplier}"), 0
    while not day.over():
        number += 1
        out = order(day, supplier, chance, ECS43 if number % _DISCONNECTIONS == 0 else ECS44)
        if out.exists():
            day.to_broker[supplier].put(out)
        day.rest(chance.uniform(0, 1))
        while max(day.to_broker[supplier].qsize(), day.to_meters.qsize()) > _WAITING and not day.over():
            day.rest(0.2)


def order(day: Day, supplier: str, chance: random.Random, code: MessageCode) -> Path:
    """Orders for some of a supplier's homes, and now and then for another's; signed."""
    world, other = day.world, "south" if supplier == "north" else "north"
    homes = day.homes_of(supplier, _ROUND, chance) + day.homes_of(other, chance.randrange(3), chance)
    commands = [
        arming(day.counter(), code=code, target=meter(home), originator=SUPPLIERS[supplier]) for home in homes
    ]
    asked, out = _write(day, f"{supplier}-{code}", commands), day.out(f"{supplier}.signed")
    key = ("--token", "keys", "--key", f"{supplier}-ds", "--certificate", world.certificate(f"{supplier}-ds"))
    sources = ("--from", asked, "--expect", asked.with_suffix(".expected"))
    day.hands.must(f"sign {supplier}", world.at(supplier), "message", "sign", *key, *sources, out=out)
    return out


def _write(day: Day, name: str, commands: list[Message]) -> Path:
    """Pre-commands as a transform service gives them, beside them what was asked for."""
    path, lines, wanted = day.new(f"{name}.asked"), [], []
    for one in commands:
        reading, header = read(one, _vocabulary()), one.header
        assert reading.use_case is not None
        lines.append(json.dumps({"reference": f"{header.target} {header.counter}", "message": one.encode().hex()}))
        told = {"use_case": reading.use_case.name, "target": str(header.target), "counter": str(header.counter)}
        wanted.append(json.dumps({**told, "values": reading.values}))
    path.write_text("\n".join(lines) + "\n")
    path.with_suffix(".expected").write_text("\n".join(wanted) + "\n")
    return path


def broker_key(day: Day) -> tuple[str | Path, ...]:
    folder = day.world.folder / "certificates"
    own = ("--token", "keys", "--key", "broker-ka", "--certificate", folder / "broker-ka.pem")
    others = [folder / "meters", *(folder / f"{name}-ds.pem" for name in ("north", "south", "cos"))]
    return (*own, *(word for path in others for word in ("--certificates", path)))


def submit(day: Day, desk: str, signed: Path) -> Path:
    """What the broker says of each."""
    out = day.out(f"{desk.replace(' ', '-')}.admitted")
    arguments = ("broker", "submit", "--from", signed, *broker_key(day))
    day.hands.must(desk, day.world.at("broker"), *arguments, out=out, may=(OK, SOME, NONE, HELD))
    return out


def broker(day: Day, supplier: str) -> None:
    """One of the broker's desks: what a supplier signed, in the order it was signed in."""
    waiting = day.to_broker[supplier]
    while not (day.over() and waiting.empty()):
        try:
            signed = waiting.get(timeout=0.2)
        except queue.Empty:
            continue
        admitted = submit(day, f"broker {supplier}", signed)
        if admitted.exists():
            day.to_meters.put(admitted)


def quarantine(day: Day) -> None:
    """The broker's officer rejects what waits, now and then."""
    home, desk = day.world.at("broker"), "quarantine"
    key = ("--officer", "alice", "--key", home / "alice.pem", "--passphrase", f"file:{home / 'passphrase'}")
    while not day.over():
        day.rest(25)
        listed = day.hands.must(desk, home, "broker", "quarantine", "list", "--json", may=(OK, SOME))
        if listed.code != OK or not listed.text.startswith("{"):
            continue
        patterns = [one["pattern"] for one in json.loads(listed.text)["patterns"]]
        reject = ("broker", "quarantine", "reject", patterns[0], *key, "--reason", "nobody asked for it")
        day.hands.must(desk, home, *reject, may=(OK, NONE))  # 3: a run that was killed had done it


def deliver(day: Day) -> None:
    """The network: what was handed out reaches its meter; now and then twice."""
    chance = day.chance("deliver")
    while not (day.all_handed_out.is_set() and day.to_meters.empty()):
        try:
            commands = day.to_meters.get(timeout=0.2)
        except queue.Empty:
            continue
        for _ in range(1 + (chance.random() < 0.1)):
            hand(day, commands)


def hand(day: Day, commands: Path) -> Path:
    """Give commands to their meters; the file of what they answer."""
    answers = day.out("answers.hex")
    said = day.hands.persist("meters", DELIVER, day.world.meters, commands, answers, out=answers)
    if said.code:
        day.hands.wrong.append(f"meters: {said.text[-600:]}")
    return answers


# Changes of supplier


def change(day: Day) -> None:
    """Homes change hands: registered anew, asked for, signed for, admitted, done, and on record."""
    chance, number = day.chance("change"), 0
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=12)
    while not day.over():
        number += 1
        old, new = ("north", "south") if chance.random() < day.share("north") else ("south", "north")
        move(day, day.homes_of(old, _MOVED, chance), new, begin + timedelta(seconds=number))
        day.rest(chance.uniform(0, 2))


def move(day: Day, homes: list[int], new: str, since: datetime) -> None:
    """Until it is done, however often it has to be asked for; or the day is over."""
    day.give(homes, None)
    _register(day, homes, new, since)
    while not _changed(day, homes, new):
        day.rest(1)
        if day.over():
            return
    day.give(homes, new)


def _register(day: Day, homes: list[int], new: str, since: datetime) -> None:
    path = day.new("registrations.csv")
    rows = [f"{point(home)},{SUPPLIERS[new]},{WIRES},{since:%Y-%m-%dT%H:%M:%SZ}" for home in homes]
    path.write_text("\n".join(("meter_point,supplier,network_operator,since", *rows)) + "\n")
    for who in ("cos", "broker"):
        day.hands.must("registrations", day.world.at(who), "registration", "import", path)


def _changed(day: Day, homes: list[int], new: str) -> bool:
    """Whether all of it was done; if not, it is to be asked for anew."""
    world, wanted, request = day.world, day.new("wanted.csv"), day.out("request.p7m")
    wanted.write_text("reference,meter_point\n" + "".join(f"{home},{point(home)}\n" for home in homes))
    trio = [
        word
        for option, label in (("--ds", "ds"), ("--ka", "ka"), ("--top-up", "topup-ka"))
        for word in (option, world.certificate(f"{new}-{label}"))
    ]
    key = ("--token", "keys", "--key", f"{new}-xml-ds", "--certificate", world.certificate(f"{new}-xml-ds"))
    day.hands.must(f"ask {new}", world.at(new), "cos", "request", "--from", wanted, *trio, *key, out=request)
    own = ("--token", "keys", "--key", "cos-ds", "--certificate", world.certificate("cos-ds"))
    signed = day.out("cos.signed")
    said = day.hands.must("cos", world.at("cos"), "cos", "run", request, *own, out=signed, may=(OK, SOME, NONE))
    if said.code != OK:
        return False
    admitted = submit(day, "broker cos", signed)
    answers = hand(day, admitted)
    others = ("--certificates", world.folder / "certificates" / "meters")
    if answers.stat().st_size:
        day.hands.must("outcomes", world.at("cos"), "credentials", "outcome", "--from", answers, *others)
    return '"refused"' not in admitted.read_text()
