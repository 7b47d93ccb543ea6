"""An authority with something to forget, and what its tests of backups share."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from smki.authority.backup.act import Restored, restore, take
from smki.authority.log import seal
from smki.authority.publication.act import publish_lists
from smki.authority.registration import Enrolment, enrol
from smki.authority.revocation.act import revoke
from smki.authority.revocation.plan import plan
from smki.authority.revocation.request import Asked, Evidence
from smki.entity import EntityId, EntityRange, RemotePartyRole
from smki.errors import SmkiError
from smki.pki.kind import Kind
from smki.pki.reason import Reason
from smki.pki.serial import Serial
from tests.authority.desk import Desk, organisation_csr
from tests.house import House, copy_of, founded, opened

NORTH, PREFIX = "North Supply", "90-B3-D5-1F-30-01-00"


class Drill:
    """What happens to an authority, and to its backup."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.desk = Desk(house)
        self.backup = house.home.parent / "backup"

    @property
    def published(self) -> Path:
        return self.house.home / "published"

    def issue(self) -> Serial:
        """To one who has none yet."""
        entity = EntityId.parse(f"{PREFIX}-{self.house.workspace.store.certificates.count():02X}")
        csr = organisation_csr(entity=entity)
        (outcome,) = self.desk.issue(self.desk.order(Kind.ORGANISATION, NORTH), csr)
        assert outcome.certificate is not None, outcome.faults
        return outcome.certificate.serial

    def revoke(self, serial: Serial) -> None:
        asked = Asked(Reason.KEY_COMPROMISE, "alice", Evidence(text="told by phone"), (serial,))
        workspace = self.house.workspace
        assert sum(map(len, revoke(workspace, plan(workspace, asked)))) == 1

    def publish(self) -> int:
        """The number of the list of those who issue to organisations."""
        run = publish_lists(self.house.workspace, ("oca-issuing-1",), even_if_not_due=True)
        assert run.faults == ()
        number = x509.load_der_x509_crl((self.published / "crl" / "oca-issuing-1.crl").read_bytes())
        return number.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    def take(self) -> None:
        self.backup.unlink(missing_ok=True)
        take(self.house.workspace, self.backup)

    def lose(self) -> None:
        """The database is gone, with everything that belongs to it."""
        self.house.workspace.close()
        for path in self.house.home.glob("smki.db*"):
            path.unlink()

    def restore(self, *folders: Path, to: str | None = None, journal: Path | None = None) -> Restored:
        return restore(self.house.workspace, self.backup, to, folders, journal)

    def refused(self, *folders: Path) -> SmkiError:
        with pytest.raises(SmkiError) as caught:
            self.restore(*folders)
        assert not list(self.house.home.glob("*smki.db*"))
        return caught.value


def make(home: Path) -> None:
    """Two certificates were issued, one is revoked, lists are published."""
    with founded(home) as house:
        house.enrol()
        for number in "12":
            house.hold(house.shipped(number))
        drill = Drill(house)
        ranges = (EntityRange.parse(f"{PREFIX}-00..{PREFIX}-FF"),)
        enrol(house.workspace, Enrolment(NORTH, (RemotePartyRole.SUPPLIER,), (Kind.ORGANISATION,), ranges, 1))
        drill.issue()
        drill.revoke(drill.issue())
        drill.publish()
        seal(house.workspace)


def copied(made: Path, home: Path) -> Drill:
    return Drill(opened(copy_of(made, home)))


def mirror(folder: Path, to: Path, change: Callable[[Path], None] = lambda _: None) -> Path:
    """A copy of what was published, as a mirror has it."""
    shutil.copytree(folder, to)
    change(to)
    return to
