"""Issuing: everything a run needs, put together and given back."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from smki.authority.ceremony.plan import key_of
from smki.authority.issuance.admission import admit
from smki.authority.issuance.crew import Alone, Crew
from smki.authority.issuance.intake import Intake
from smki.authority.issuance.order import Order, Outcome
from smki.authority.issuance.patience import Patience
from smki.authority.issuance.run import CHUNK, Run
from smki.authority.issuance.worker import Station, Worker
from smki.authority.log import act, seal
from smki.authority.workspace import SHIPPED, Workspace
from smki.errors import InvalidInput, SmkiError, Unavailable
from smki.hsm.key import HsmPrivateKey

SWEEP = 500  # forgotten numbers given up in one act
LARGE = 2 * CHUNK  # from here on it pays to start worker processes


@contextmanager
def issuing(
    workspace: Workspace,
    order: Order,
    intake: Intake,
    *,
    manifest: Path | None = None,
    workers: int | None = None,
    patience: float = 0,
    tell: Callable[[Unavailable], None] = lambda _: None,
    dry_run: bool = False,
) -> Iterator[Iterator[Outcome]]:
    """Let a batch in, and give what becomes of its requests; the log is sealed when it is over."""
    if intake.count == 0:
        raise InvalidInput("intake.empty", "there is no request", "name a file or folder with requests")
    batch = None
    if not dry_run:
        batch = admit(workspace, order, intake, manifest)
        _sweep(workspace)
    crew = _crew(workspace, order, intake.count, workers)
    try:
        with closing(Run(workspace, order, batch, crew, Patience(patience, tell)).outcomes(intake)) as outcomes:
            yield outcomes
    finally:
        crew.close()
        with suppress(SmkiError):  # what is issued is on record; the next act signs the log as well
            if batch is not None:
                seal(workspace)


def _crew(workspace: Workspace, order: Order, count: int, workers: int | None) -> Crew | Alone:
    authority, ref = order.authority, workspace.token_ref(order.authority.token)
    issuer = key_of(authority)
    known = workspace.store.token(authority.token)
    station = Station(
        home=workspace.home,
        descriptions=(SHIPPED / "hsm", workspace.home / "hsm"),
        token=ref,
        token_serial=None if known is None else known.serial,
        key_id=authority.key_id,
        issuer_key=authority.public_key or b"",
        profile=order.rule.profile,
        blocked=workspace.policies.issuance.blocked,
    )
    size = len(os.sched_getaffinity(0)) if workers is None else workers
    if count >= LARGE and size > 0:
        return Crew(station, size, workspace.pin(authority.token))

    def key() -> HsmPrivateKey:
        return workspace.open_token(authority.token).find_key(key_id=authority.key_id, public_key=issuer)

    return Alone(Worker(station, key, issuer))


def _sweep(workspace: Workspace) -> None:
    """Give up the numbers of runs that died: whatever was signed under them is nobody's."""
    while forgotten := workspace.store.certificates.forgotten(workspace.clock(), SWEEP):
        with act(
            workspace,
            "serials.burnt",
            serials=[str(serial) for _, serial in forgotten],
            reason="reserved by a run that ended without a word",
        ) as tx:
            for issuer in {number for number, _ in forgotten}:
                tx.burn_serials(issuer, [serial for number, serial in forgotten if number == issuer])
