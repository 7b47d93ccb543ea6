"""The change-of-supplier desk: a request is judged again, held where it is many, and only then made and signed."""

import hashlib
from collections.abc import Generator, Sequence
from itertools import islice

from smki.authority.log import act
from smki.authority.workspace import Workspace
from smki.device.update import Floors
from smki.entity import RemotePartyRole
from smki.errors import Refused
from smki.parties.cos.cancelling import Cancellation
from smki.parties.cos.commands import PIECE, Commands, Done, Doubts, Wanted
from smki.parties.cos.judgement import Judgement, Verdict
from smki.parties.cos.thresholds import Gate, Run
from smki.parties.keys import Certified
from smki.parties.supplier import SigningDesk
from smki.store.supplier_changes import SupplierChangeRecord
from smki.words import utc


class CosDesk:
    """Where the change-of-supplier party's key signs."""

    def __init__(self, workspace: Workspace, token: str, label: str, certificate: Certified) -> None:
        role = certificate.holder.role
        if role is not RemotePartyRole.TRANSITIONAL_COS:
            said = "a device" if role is None else role.word
            raise Refused("cos.role", f"the key is of {said}", "name the change-of-supplier party's key")
        self._workspace = workspace
        self._certificate = certificate
        self._signing = SigningDesk(workspace, token, label, certificate)

    def run(self, judgement: Judgement, file: bytes) -> "tuple[int, Generator[Done]]":
        """How many devices it is about, and what becomes of each as it comes. Close it at the end."""
        verdicts = list(judgement.verdicts())
        return len(verdicts), self._run(judgement, file, verdicts)

    def _run(self, judgement: Judgement, file: bytes, verdicts: Sequence[Verdict]) -> Generator[Done]:
        asked = judgement.asked
        fit: list[Wanted] = []
        for one in verdicts:
            if one.faults or one.device is None or one.kind is None:
                yield Done(one.reference, one.meter_point, one.device, "refused", faults=one.faults)
            else:
                fit.append(
                    Wanted(one.reference, one.meter_point, one.device, one.kind, one.cells, one.at, one.counter)
                )
        record = SupplierChangeRecord(
            digest=asked.digest, supplier=asked.supplier, made=asked.made, seen_at=self._workspace.clock(), file=file
        )
        what = (asked.certificates, asked.floors)
        yield from self._command(record, fit, what, len(verdicts) - len(fit), judgement.against)

    def cancel(self, cancellation: Cancellation) -> "tuple[int, Generator[Done]]":
        """The same for what is taken back."""
        total = len(cancellation.fit) + len(cancellation.refused) + len(cancellation.unmade)
        return total, self._cancel(cancellation)

    def _cancel(self, cancellation: Cancellation) -> Generator[Done]:
        yield from cancellation.refused
        what, refused = (cancellation.certificates, cancellation.floors), len(cancellation.refused)
        if cancellation.unmade:
            self._take(cancellation.record, len(cancellation.fit) + len(cancellation.unmade), refused)
            yield from cancellation.stopped()
        if cancellation.fit:
            yield from self._command(cancellation.record, cancellation.fit, what, refused, cancellation.against)

    def _command(
        self,
        record: SupplierChangeRecord,
        fit: Sequence[Wanted],
        what: tuple[tuple[bytes, ...], Floors],
        refused: int,
        doubts: Doubts,
    ) -> Generator[Done]:
        """Make and sign what is fit, unless there is so much of it that an officer looks first."""
        if not fit:
            return
        self._take(record, len(fit), refused)  # before it is held: what waits for an officer can be taken back too
        commands = Commands(self._workspace, (self._signing, self._certificate), record.digest, *what)
        many = "changes of supplier" if record.cancels is None else "cancellations of a change of supplier"
        run = Run(self._certificate.key_hash, record.digest, record.supplier, f"{many} to {record.supplier}")
        gate = Gate(self._workspace, run, [one for one in fit if not commands.is_signed(one.device)])
        gate.against(fit)  # all of it at once, so that an officer is shown all of it
        gate.ask()
        source = iter(fit)
        while piece := list(islice(source, PIECE)):
            # Both are asked again for each piece: other runs may have used up what was left, or had the last word.
            for done in commands.piece(piece, lambda some: {**gate.against(some), **doubts(some)}):
                gate.passed(done)
                yield done
            gate.ask()

    def _take(self, record: SupplierChangeRecord, fit: int, refused: int) -> None:
        """The request is on record before anything is made for it."""
        if self._workspace.store.supplier_changes.one(record.digest) is not None:
            return
        with act(
            self._workspace,
            "cos.taken" if record.cancels is None else "cos.cancelling",
            request=record.digest.hex(),
            supplier=str(record.supplier),
            made=utc(record.made),
            cancels="" if record.cancels is None else record.cancels.hex(),
            file_sha256=hashlib.sha256(record.file).hexdigest(),
            fit=fit,
            refused=refused,
        ) as tx:
            tx.put_supplier_change(record)
