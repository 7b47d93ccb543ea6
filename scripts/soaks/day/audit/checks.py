"""All checks, one after another."""

from collections.abc import Iterator

from scripts.soaks.day.audit import certificates, commands, files
from scripts.soaks.day.audit.scene import Checked, Scene


def audit(scene: Scene) -> Iterator[Checked]:
    """Everything that was recomputed, with every difference."""
    yield from files.logs(scene)
    yield from certificates.issued(scene)
    yield certificates.numbers(scene)
    yield certificates.requests(scene)
    yield certificates.revocations(scene)
    yield from certificates.lists(scene)
    yield certificates.keys(scene)
    ledger = commands.Ledger(scene)
    yield from commands.signed(scene, ledger)
    yield from commands.admitted(scene, ledger)
    yield commands.obeyed(scene, ledger)
    yield commands.cells(scene)
    yield files.secrets(scene)
    yield files.leftovers(scene)
