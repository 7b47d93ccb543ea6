"""Issuing: everything a run needs, put together and given back."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Self

from smki.authority.ceremony.plan import key_of
from smki.authority.issuance.admission import admit
from smki.authority.issuance.crew import Alone, Crew
from smki.authority.issuance.intake import Intake
from smki.authority.issuance.order import Order, Outcome
from smki.authority.issuance.patience import Patience
from smki.authority.issuance.run import Run
from smki.authority.issuance.worker import Station, Worker
from smki.authority.log import act, seal
from smki.authority.workspace import SHIPPED, Workspace
from smki.errors import InvalidInput, SmkiError, Unavailable
from smki.hsm.key import HsmPrivateKey

SWEEP = 500  # forgotten numbers given up in one act


class Hands:
    """Who does the arithmetic: worker processes where there is much to do, else this process."""

    def __init__(self, workspace: Workspace, order: Order, workers: int | None = None) -> None:
        self._workspace = workspace
        self._order = order
        self._size = len(os.sched_getaffinity(0)) if workers is None else workers
        self._crew: Crew | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._crew is not None:
            self._crew.close()

    def start(self) -> None:
        """Start the workers now: there will be enough for them, and they take a moment."""
        if self._crew is None and self._size:
            station = self._station()
            # Tried once here: a wrong PIN sent by every worker would lock a token that counts.
            pin = self._workspace.pin(station.token.name)()
            self._workspace.hsm.open(station.token, lambda: pin, station.token_serial)
            self._crew = Crew(station, self._size, pin)

    def get(self) -> "Crew | Alone":
        """Whoever there is."""
        if self._crew is not None:
            return self._crew
        authority, issuer = self._order.authority, key_of(self._order.authority)

        def key() -> HsmPrivateKey:
            token = self._workspace.open_token(authority.token)
            return token.find_key(key_id=authority.key_id, public_key=issuer)

        return Alone(Worker(self._station(), key, issuer))

    def _station(self) -> Station:
        workspace, authority = self._workspace, self._order.authority
        known = workspace.store.token(authority.token)
        assert authority.public_key is not None, "an authority that issues has its key"
        return Station(
            home=workspace.home,
            descriptions=(SHIPPED / "hsm", workspace.home / "hsm"),
            token=workspace.token_ref(authority.token),
            token_serial=None if known is None else known.serial,
            key_id=authority.key_id,
            issuer_key=authority.public_key,
            profile=self._order.rule.profile,
            blocked=workspace.policies.issuance.blocked,
        )


@contextmanager
def issuing(
    workspace: Workspace,
    order: Order,
    intake: Intake,
    hands: Hands,
    *,
    manifest: Path | None = None,
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
    try:
        # Two: that the store answers says nothing of the HSM.
        store, hsm = Patience(patience, tell), Patience(patience, tell)
        run = Run(workspace, order, batch, hands.get(), with_store=store, with_hsm=hsm)
        with closing(run.outcomes(intake)) as outcomes:
            yield outcomes
    finally:
        with suppress(SmkiError):  # what is issued is on record; the next act signs the log as well
            if batch is not None:
                seal(workspace)


def _sweep(workspace: Workspace) -> None:
    """Give up the numbers of runs that died: whatever was signed under them is nobody's."""
    certificates = workspace.store.certificates
    while certificates.forgotten(workspace.clock(), 1):
        serials: list[str] = []
        with act(
            workspace, "serials.burnt", serials=serials, reason="reserved by a run that ended without a word"
        ) as tx:
            tx.lock()  # another run may sweep at the same time
            forgotten = certificates.forgotten(workspace.clock(), SWEEP)
            serials += [str(serial) for _, serial in forgotten]
            for issuer in {number for number, _ in forgotten}:
                tx.burn_serials(issuer, [serial for number, serial in forgotten if number == issuer])
