"""`smki han topup`: a PPMID on the desk hands a token to its gas meter, or asks it for emergency credit."""

import json
from pathlib import Path

import click

from smki.cli.options import FILE, FILE_OR_PIPE
from smki.cli.results import output


@click.command(
    "topup",
    epilog="Example: smki han topup 73943333457189043313 --state ppmid.state --meter 00-DB-12-34-56-78-90-A1"
    " --out topup.jsonl",
)
@click.argument("utrn", required=False)
@click.option("--emergency-credit", "credit", is_flag=True, help="Ask for emergency credit instead (PCS02).")
@click.option("--meter", required=True, metavar="EUI-64", help="The gas meter it is joined with.")
@click.option("--state", required=True, type=FILE, help="The PPMID's state file.")
@click.option(
    "--out",
    type=FILE_OR_PIPE,
    help="Write the command to this new file; default: print.",
)
def topup(utrn: str | None, credit: bool, meter: str, state: Path, out: Path | None) -> None:
    """Hand a token to the gas meter over the home's network, under the key that their join gave (PCS01).

    Give what it writes to the meter with `smki device receive`, and the meter's answer to the PPMID in the same way.
    """
    from smki.cli.desk import kept
    from smki.device.household import emergency_credit, top_up
    from smki.entity import EntityId
    from smki.gbcs.top_up import Utrn

    if (utrn is None) is not credit:
        raise click.UsageError("Say what to do: a UTRN, or --emergency-credit.")
    entity = EntityId.parse(meter)
    token = None if utrn is None else Utrn.typed(utrn)
    with kept(state) as (device, keys, keep), output(out) as lines:
        made = emergency_credit(device, keys, entity) if token is None else top_up(device, keys, entity, token)
        keep(made[0], keys)
        line = {"reference": f"to {entity}", "message": made[1].encode().hex()}
        lines.write(json.dumps(line).encode() + b"\n")
