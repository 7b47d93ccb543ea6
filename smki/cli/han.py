"""`smki han`: the devices of a home, joined and parted, listed and read; tokens over their network; plans."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.han_plan import plan
from smki.cli.han_topup import topup
from smki.cli.keys import certificates_option, own_key_options
from smki.cli.options import FILE, F, with_options
from smki.cli.reading import issued, key_ring
from smki.cli.render import emit, json_option, table
from smki.cli.session import Session, pass_session
from smki.words import counted

if TYPE_CHECKING:
    from smki.entity import EntityId
    from smki.gbcs.header import MessageCode
    from smki.gbcs.message import Message
    from smki.parties.han import HanDesk, Member, Order

_MAX_LABEL_OCTETS = 256
_SECONDS = 90  # in the published messages
_EXAMPLE = "--supplier 90-B3-D5-1F-30-01-00-00 --broker 90-B3-D5-1F-30-00-00-02 --counter 1000"


@click.group("han", epilog="Example: smki han plan home.toml")
def command() -> None:
    """Devices of a home: plan it, join and part them, list them at the hub, read their logs, top up.

    A device is named KIND=EUI-64, such as ESME=00-DB-12-34-56-78-90-A0; one in the inventory by its EUI-64 alone.
    """


command.add_command(plan)
command.add_command(topup)


def _making(function: F) -> F:
    """The options of a command that makes commands."""
    return with_options(
        function,
        click.option("--supplier", required=True, metavar="EUI-64", help="Whose home it is."),
        click.option("--broker", required=True, metavar="EUI-64", help="The access control broker."),
        click.option(
            "--counter",
            required=True,
            type=click.IntRange(0),
            help="The first command's counter; each takes one.",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            help="Write files for `message sign` and `message mac` into this new folder.",
        ),
        json_option,
    )


def _proving(function: F) -> F:
    """The options of a command that believes an alert: who told it, and what shows that they did."""
    return with_options(
        function,
        click.option(
            "--told-by",
            metavar="EUI-64",
            help="Whose alert it is, when not that of the device the command is for: the one it replaces.",
        ),
        own_key_options,
        certificates_option,
    )


@command.command(
    "join",
    epilog=f"Example: smki han join GSME=00-DB-12-34-56-78-90-A1 PPMID=00-DB-12-34-56-78-90-A4 {_EXAMPLE} --out join",
)
@click.argument("one")
@click.argument("other")
@certificates_option
@_making
@pass_session
def join(session: Session, /, one: str, other: str, others: tuple[Path, ...], **making: Any) -> None:
    """Make the commands that join two devices, in their order. The rules say by which method.

    Method C needs the key agreement certificates of both: they are looked up, and checked up to their root.
    """
    from smki.parties.keys import certificates_in

    desk = _desk(session, **making)
    known = list(certificates_in(others))
    _hand_out(list(desk.join(_member(session, one), _member(session, other), known)), **making)


@command.command(
    "unjoin",
    epilog=f"Example: smki han unjoin GSME=00-DB-12-34-56-78-90-A1 PPMID=00-DB-12-34-56-78-90-A4 {_EXAMPLE}",
)
@click.argument("one")
@click.argument("other")
@_making
@pass_session
def unjoin(session: Session, /, one: str, other: str, **making: Any) -> None:
    """Make the commands that part two devices. Each forgets what it shared with the other."""
    desk = _desk(session, **making)
    _hand_out(list(desk.unjoin(_member(session, one), _member(session, other))), **making)


@command.command(
    "whitelist",
    epilog="Example: smki han whitelist CHF=00-DB-12-34-56-78-90-A2 --add 00-DB-12-34-56-78-90-A0"
    f" --install-code label.txt {_EXAMPLE}",
)
@click.argument("hub")
@click.option("--add", metavar="EUI-64", help="List this device: it may come onto the network.")
@click.option("--install-code", type=FILE, help="The file with the code on its label, CRC and all; - reads a pipe.")
@click.option("--seconds", type=int, default=_SECONDS, show_default=True, help="How long it may take to come.")
@click.option("--remove", metavar="EUI-64", help="Or list this one no more.")
@click.option("--restore", type=FILE, help="Or give the hub the whitelist in an alert (CS14), once it is proven.")
@_proving
@_making
@pass_session
def whitelist(
    session: Session,
    /,
    hub: str,
    add: str | None,
    install_code: Path | None,
    seconds: int,
    remove: str | None,
    restore: Path | None,
    told_by: str | None,
    others: tuple[Path, ...],
    certificate: Path | None,
    token: str | None,
    label: str | None,
    key_file: Path | None,
    **making: Any,
) -> None:
    """Make the command that changes whom a hub lists: CCS01, CCS02 or CCS03. The install code's CRC is checked.

    An install code is in the files of --out alone, which nobody else can read, and is never printed. An alert is
    believed when its MAC holds: give the key it was sent to, and its device's certificate.
    """
    from smki.entity import EntityId
    from smki.gbcs.payload.hub import CS14, read_whitelist_alert

    if sum(item is not None for item in (add, remove, restore)) != 1 or (add is None) is not (install_code is None):
        raise click.UsageError("Say one thing: --add with --install-code, --remove, or --restore.")
    proof = _Proof(told_by, others, _own(certificate, token, label, key_file))
    proof.refuse_without(restore)
    desk, member, told = _desk(session, **making), _member(session, hub), None
    if add is not None and install_code is not None:
        order = desk.list_device(member, EntityId.parse(add), _code(install_code), seconds)
    elif remove is not None:
        order = desk.unlist_device(member, EntityId.parse(remove))
    else:
        assert restore is not None, "one of the three was given"
        alert = _alert(session, restore, CS14, member, proof)
        backup = read_whitelist_alert(alert.payload)
        order, told = desk.restore_hub(member, backup), _told(alert, len(backup.devices))
    _hand_out([order], told, **making)


@command.command("log", epilog=f"Example: smki han log GSME=00-DB-12-34-56-78-90-A1 {_EXAMPLE}")
@click.argument("device")
@click.option(
    "--restore", type=FILE, help="Give a proxy (GPF) the log in an alert (GCS62), once it is proven, instead."
)
@_proving
@_making
@pass_session
def log(
    session: Session,
    /,
    device: str,
    restore: Path | None,
    told_by: str | None,
    others: tuple[Path, ...],
    certificate: Path | None,
    token: str | None,
    label: str | None,
    key_file: Path | None,
    **making: Any,
) -> None:
    """Make the command that reads a device's log (CS07; CCS06), or gives a new proxy the old one's (GCS59).

    An alert is believed when its MAC holds: give the key it was sent to, and its device's certificate.
    """
    from smki.gbcs.payload.declared import read_declared
    from smki.gbcs.payload.joins import GCS62, LogAlert

    proof = _Proof(told_by, others, _own(certificate, token, label, key_file))
    proof.refuse_without(restore)
    desk, member = _desk(session, **making), _member(session, device)
    if restore is None:
        _hand_out([desk.read_log(member)], **making)
        return
    alert = _alert(session, restore, GCS62, member, proof)
    entries = read_declared(LogAlert, alert.payload).payload.entries
    _hand_out([desk.restore_proxy(member, entries)], _told(alert, len(entries)), **making)


# What they share


def _desk(session: Session, *, supplier: str, broker: str, counter: int, **_: Any) -> "HanDesk":
    from smki.entity import EntityId
    from smki.parties.han import HanDesk, Parties
    from smki.parties.supplier import vocabulary

    parties = Parties(EntityId.parse(supplier), EntityId.parse(broker))
    return HanDesk(session.workspace, vocabulary(session.workspace), parties, counter)


def _member(session: Session, text: str) -> "Member":
    """`KIND=EUI-64`, or the EUI-64 of a device that the inventory knows."""
    from smki.entity import DeviceType, EntityId
    from smki.errors import InvalidInput
    from smki.parties.han import Member

    kind, equals, entity = text.rpartition("=")
    device = EntityId.parse(entity)
    if equals:
        return Member(device, DeviceType.parse(kind))
    known = session.workspace.store.estate.devices([device]).get(device)
    if known is None:
        raise InvalidInput("han.kind", f"the inventory does not know {device}", f"say what it is: ESME={device}")
    return Member(device, known.kind)


def _code(path: Path) -> Any:
    """An install code from a file or a pipe: it opens the network, so it is no argument."""
    import sys

    from smki.errors import InvalidInput
    from smki.gbcs.install_code import InstallCode

    try:
        if path == Path("-"):
            data = sys.stdin.buffer.read(_MAX_LABEL_OCTETS)
        else:
            with path.open("rb") as file:
                data = file.read(_MAX_LABEL_OCTETS)
        return InstallCode.parse(data.decode("ascii"))
    except OSError as error:
        raise InvalidInput("install-code.file", f"{path}: {error.strerror}", "name a file you can read") from None
    except UnicodeDecodeError:
        raise InvalidInput("install-code.form", f"{path} holds no install code", "write its digits") from None


@dataclass(frozen=True)
class _Proof:
    """What a person gives to show that an alert is its device's."""

    told_by: str | None
    others: tuple[Path, ...]
    own: dict[str, Any]

    def refuse_without(self, restore: Path | None) -> None:
        if restore is None and (self.told_by or self.others or any(self.own.values())):
            raise click.UsageError("Only --restore has something to prove: leave out --told-by, keys, certificates.")

    def teller(self, member: "Member") -> "EntityId":
        from smki.entity import EntityId

        return member.device if self.told_by is None else EntityId.parse(self.told_by)


def _own(certificate: Path | None, token: str | None, label: str | None, key_file: Path | None) -> dict[str, Any]:
    return {"certificate": certificate, "token": token, "label": label, "key_file": key_file}


def _alert(session: Session, path: Path, code: "MessageCode", member: "Member", proof: _Proof) -> "Message":
    """The one alert in a file, proven to be of the device that is named."""
    import sys

    from smki.entity import KeyUsage
    from smki.errors import InvalidInput
    from smki.parties.han_alerts import read_alert, refuse_unless_proven
    from smki.parties.intake import take_in

    given = list(take_in([path], sys.stdin.buffer, 1))
    if not given:
        raise InvalidInput("han.alert", f"{path} holds no alert {code}", "give the one that was sent")
    message, teller = read_alert(given[0].octets, str(path), code), proof.teller(member)
    ring = key_ring(session, proof.others, proof.own)
    for entity in {message.header.originator, message.header.target}:
        for usage in KeyUsage:
            ring.add(issued(session, entity, usage))
    refuse_unless_proven(message, teller, session.policies.use_cases, ring)
    return message


def _told(alert: "Message", devices: int) -> dict[str, Any]:
    return {"originator": str(alert.header.originator), "devices": devices}


def _hand_out(
    orders: "Sequence[Order]", told: dict[str, Any] | None = None, *, out: Path | None, as_json: bool, **_: Any
) -> None:
    """Show what was made, and whose word it goes by; write it for those who sign and MAC it."""
    from smki.parties.han_files import as_data, write_orders

    data = [as_data(number, one) for number, one in enumerate(orders, 1)]
    written = [] if out is None else write_orders(out, orders)

    def human() -> None:
        if told is not None:
            click.echo(f"{told['originator']} told of {counted(told['devices'], 'device')}")
        rows = [
            (str(one["number"]), one["use_case"], one["to"], one["signed_by"] or "-", one["counter"]) for one in data
        ]
        table(["", "Command", "To", "Signed by", "Counter"], rows)
        for path in written:
            click.echo(f"wrote {path}")

    found = {"commands": data, "files": [str(path) for path in written]}
    emit(found if told is None else {**found, "told": told}, as_json, human)
