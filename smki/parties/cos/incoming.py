"""The incoming supplier's side: homes from lines, a request around them, signed with its own key."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.estate.intake import Columns, Fields, Place, Report, take_in
from smki.authority.estate.meter_points import meter_point
from smki.authority.log import act, seal
from smki.authority.workspace import Workspace
from smki.device.update import Floors
from smki.entity import KeyUsage
from smki.errors import InvalidInput, Refused
from smki.hsm.key import HsmPrivateKey
from smki.parties.cos import rules
from smki.parties.cos.request import (
    MAX_FILE_OCTETS,
    MOST_HOMES,
    USES,
    Asked,
    Cancelling,
    Home,
    home_of,
    moment,
    read_content,
    write_cancel,
    write_change,
)
from smki.parties.cos.rules import Presented, Signer
from smki.parties.keys import Certified, refuse_unless_in_use, token_key
from smki.pki.signed_data import make_signed_data
from smki.pki.verdict import Fault

_COLUMNS = frozenset({"reference", "meter_point", "devices", "at"})
COLUMNS = Columns(frozenset({"meter_point"}), _COLUMNS.__contains__)


def read_homes(workspace: Workspace, paths: Sequence[Path], at: datetime | None) -> list[Home]:
    """Homes from CSV with a header, or JSON lines; without a reference a home is called by its meter point."""
    homes: list[Home] = []
    report = Report()

    def add(fields: Fields, place: Place) -> None:
        del place
        homes.append(one_home(workspace, fields, at))

    take_in(paths, COLUMNS, MOST_HOMES, report, add)
    if report.wrong_count:
        first = report.wrong[0]
        raise InvalidInput(
            first.code,
            f"{report.wrong_count} lines are wrong, the first {first.file} line {first.line}: {first.message}",
            "mend them, and ask again",
        )
    return homes


def one_home(workspace: Workspace, fields: Fields, at: datetime | None) -> Home:
    point = meter_point(workspace, fields["meter_point"])
    written = fields.get("at", "")
    return home_of(
        reference=fields.get("reference", "") or str(point),
        meter_point=point,
        devices=fields.get("devices", "").replace(";", " ").split(),
        at=moment(written) if written else at,
    )


@dataclass(frozen=True)
class Requester:
    """The supplier that asks: its signing key's place, and the certificate that speaks for it."""

    workspace: Workspace
    token: str
    label: str
    certificate: Certified

    def _key(self) -> HsmPrivateKey:
        refuse_unless_in_use(self.workspace, self.certificate, KeyUsage.DIGITAL_SIGNATURE)
        return token_key(self.workspace, self.token, self.label, self.certificate)

    def change(self, trio: Sequence[Certified], floors: Floors, homes: Iterable[Home]) -> tuple[bytes, bytes]:
        """A signed request to change supplier, and the digest it is known by."""
        ders = [_der(one) for one in trio]
        content = write_change(self.certificate.holder.entity, self._now(), ders, floors, homes)
        asked = read_content(content)
        assert isinstance(asked, Asked), "that is what was written"
        presented = [Presented(use, one.holder) for use, one in zip(USES, trio, strict=True)]
        self._refuse(asked, (*rules.of_certificates(asked, presented), *rules.of_floors(floors)))
        return self._signed(content, asked), asked.digest

    def cancel(self, request: bytes, references: Iterable[str]) -> tuple[bytes, bytes]:
        """A signed request to take back an earlier one, and the digest it is known by."""
        content = write_cancel(self.certificate.holder.entity, self._now(), request, references)
        asked = read_content(content)
        self._refuse(asked, ())
        return self._signed(content, asked), asked.digest

    def _now(self) -> datetime:
        return self.workspace.clock()

    def _refuse(self, asked: Asked | Cancelling, faults: Sequence[Fault]) -> None:
        """What the other side would refuse is not even signed."""
        holder = self.certificate.holder
        found = (*rules.of_signer(asked, Signer(holder, signature_holds=True)), *faults)
        if found:
            raise Refused(found[0].code, "; ".join(one.message for one in found), found[0].remedy)

    def _signed(self, content: bytes, asked: Asked | Cancelling) -> bytes:
        key, now = self._key(), self._now()
        lines = len(asked.lines) if isinstance(asked, Asked) else len(asked.references)
        # The intent is on record before the key is asked.
        with act(self.workspace, "cos.asked", request=asked.digest.hex(), supplier=str(asked.supplier), lines=lines):
            pass
        made = make_signed_data(
            content, self.certificate.certificate, key, now, certificates=[_der(self.certificate)]
        )
        seal(self.workspace)
        if len(made) > MAX_FILE_OCTETS:
            raise InvalidInput("cos.size", f"a request of {len(made)} octets", "ask in several")
        return made


def _der(one: Certified) -> bytes:
    return one.certificate.public_bytes(Encoding.DER)
