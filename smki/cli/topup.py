"""`smki topup`: prepayment tokens."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.keys import certificates_option, own_key, own_key_options
from smki.cli.render import emit, facts, json_option
from smki.cli.session import Session, pass_session

if TYPE_CHECKING:
    from smki.entity import EntityId
    from smki.gbcs.top_up import TopUp, Utrn
    from smki.parties.keys import Certified

_device = click.option("--device", required=True, metavar="EUI-64", help="The meter.")


@click.group("topup", epilog="Example: smki topup make --device 00-DB-12-34-56-78-90-A0 --pounds 10 ...")
def command() -> None:
    """Make and check prepayment tokens: the 20 digits of a UTRN.

    They need the supplier's key agreement key for top-ups, and the meter's key agreement certificate.
    """


@command.command(
    "make",
    epilog="Example: smki topup make --device 00-DB-12-34-56-78-90-A0 --pounds 10 --token keys --key topup"
    " --certificate topup.pem",
)
@_device
@click.option("--pounds", type=int, help="What it is worth, in pounds.")
@click.option("--pence", type=int, help="Or in pence.")
@click.option("--number", type=click.IntRange(0), help="The token's number; default: the one after the last.")
@own_key_options
@certificates_option
@json_option
@pass_session
def make(
    session: Session,
    /,
    device: str,
    pounds: int | None,
    pence: int | None,
    number: int | None,
    others: tuple[Path, ...],
    as_json: bool,
    **own: Any,
) -> None:
    """Make a token. Its number is used up for good, whatever becomes of the token."""
    from smki.entity import EntityId
    from smki.gbcs.agreement import agree
    from smki.gbcs.top_up import ValueClass
    from smki.parties.prepayment import make as make_token

    if (pounds is None) == (pence is None):
        raise click.UsageError("Say what it is worth: either --pounds N or --pence N.")
    worth = (pounds, ValueClass.POUNDS) if pounds is not None else (pence or 0, ValueClass.PENCE)
    entity = EntityId.parse(device)
    supplier, key = _supplier(session, own)
    with agree(key, _device_certificate(session, entity, others).holder.public_key) as secret:
        top_up, utrn = make_token(session.workspace, supplier, secret, entity, worth, number)
    _show(top_up, utrn, as_json)


@command.command(
    "check",
    epilog="Example: smki topup check 73943333457189043313 --device 00-DB-12-34-56-78-90-A0 --token keys --key topup"
    " --certificate topup.pem",
)
@click.argument("utrn")
@_device
@click.option("--near", type=click.IntRange(0), help="A number close to the token's; default: the last one made.")
@own_key_options
@certificates_option
@json_option
@pass_session
def check(
    session: Session,
    /,
    utrn: str,
    device: str,
    near: int | None,
    others: tuple[Path, ...],
    as_json: bool,
    **own: Any,
) -> None:
    """Say what a token is worth, if this supplier made it for this meter."""
    from smki.entity import EntityId
    from smki.gbcs.agreement import agree
    from smki.gbcs.top_up import Utrn
    from smki.parties.prepayment import check as check_token

    token = Utrn.typed(utrn)
    entity = EntityId.parse(device)
    supplier, key = _supplier(session, own)
    if near is None:
        near = max(0, session.workspace.store.signatures.last_counter(supplier.key_hash))
    with agree(key, _device_certificate(session, entity, others).holder.public_key) as secret:
        top_up = check_token(supplier.holder.entity, secret, entity, token, near)
    _show(top_up, token, as_json)


def _supplier(session: Session, own: dict[str, Any]) -> "tuple[Certified, Any]":
    from smki.entity import KeyUsage, RemotePartyRole
    from smki.errors import Refused
    from smki.parties.keys import refuse_unless_in_use

    held = own_key(session, **own)
    if held is None:
        raise click.UsageError("Name the supplier's key: --certificate with --token and --key, or --key-file.")
    if held[0].holder.role is not RemotePartyRole.SUPPLIER:
        raise Refused("topup.role", "the key is not a supplier's", "tokens are made by suppliers")
    refuse_unless_in_use(session.workspace, held[0], KeyUsage.KEY_AGREEMENT)
    return held


def _device_certificate(session: Session, entity: "EntityId", others: tuple[Path, ...]) -> "Certified":
    from smki.authority.standing import Above
    from smki.entity import KeyUsage
    from smki.errors import InvalidInput, Refused
    from smki.parties.keys import certificates_in, issued_to, refuse_revoked, register_faults

    usage = KeyUsage.KEY_AGREEMENT
    known = [one for one in certificates_in(others) if (one.holder.entity, one.holder.usage) == (entity, usage)]
    known = known or list(issued_to(session.workspace, entity, usage))
    if not known:
        refuse_revoked(session.workspace, entity, usage)
    if len(known) != 1:
        raise InvalidInput(
            "topup.device",
            f"{len(known)} key agreement certificates of {entity} are known",
            "give the one the meter uses: --certificates FILE",
        )
    for fault in register_faults(session.workspace, known[0], or_pending=True):
        raise Refused(fault.code, fault.message, fault.remedy)
    if (above := Above(session.workspace).against(known[0].certificate)) is not None:
        raise Refused(above.code, above.message, above.remedy)
    return known[0]


def _show(top_up: "TopUp", utrn: "Utrn", as_json: bool) -> None:
    data = {
        "utrn": utrn.digits,
        "supplier": str(top_up.originator),
        "device": str(top_up.target),
        "value": top_up.value,
        "value_class": top_up.value_class.word,
        "number": top_up.number,
        "counter": str(top_up.counter),
    }
    digits = " ".join(utrn.digits[start : start + 4] for start in range(0, len(utrn.digits), 4))
    shown = {**data, "utrn": digits}
    emit(data, as_json, lambda: facts(shown))
