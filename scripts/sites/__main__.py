"""Build the site: `python -m scripts.sites [--out DIR]`."""

import sys
from pathlib import Path

import click

from scripts.sites.build import NotOurs, build
from scripts.sites.links import faults
from scripts.sites.sources import ROOT, collect


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=ROOT / "build" / "site")
def site(out: Path) -> None:
    """Build the site, unless a link in it is dead."""
    pages = collect(ROOT)
    if found := faults(pages):
        click.echo("\n".join(found), err=True)
        sys.exit(1)
    try:
        build(pages, ROOT, out)
    except NotOurs as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"{len(pages.all)} pages in {out}")


if __name__ == "__main__":
    site()
