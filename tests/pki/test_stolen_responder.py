"""A responder's key, which stands open to the network, in a thief's hands: what it is good for, and what not."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from smki.entity import KeyUsage
from smki.pki.chain import verify_chain
from smki.pki.kind import Kind
from smki.pki.path import PathCertificate, PathCrl, TrustAnchor, ValidPath
from tests.parties.lists import made_list
from tests.pki.hierarchy import POLICIES, Made, chain, make

AT = datetime(2026, 6, 1, tzinfo=UTC)
USAGE = KeyUsage.DIGITAL_SIGNATURE


class Stolen:
    """An authority, somebody it certified, and its responder, whose key is the thief's."""

    def __init__(self) -> None:
        self.root, self.issuing, self.leaf = chain("oca", "organisation", USAGE)
        self.responder = make("ocsp-responder", self.issuing)
        # What the thief signs is in its own name, or in that of the authority above it.
        self.names = (self.responder, replace(self.issuing, key=self.responder.key))

    def believes(self, leaf: Made, *lists: bytes) -> bool:
        anchor = TrustAnchor.of_certificate(PathCertificate.read(self.root.der))
        verdict = verify_chain(
            leaf.der, [self.issuing.der, self.responder.der], [anchor], AT, kind=Kind.ORGANISATION, usage=USAGE,
            policies=frozenset(POLICIES), crls=[PathCrl.read(der) for der in lists] or None,
        )  # fmt: skip
        return isinstance(verdict, ValidPath)


@pytest.fixture(scope="module")
def stolen() -> Stolen:
    return Stolen()


def pem(path: Path, *ders: bytes) -> Path:
    path.write_bytes(b"".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in ders))
    return path


@pytest.mark.requirement("R-LEA-5")
def test_it_issues_nothing(stolen: Stolen, tmp_path: Path) -> None:
    assert stolen.believes(stolen.leaf)
    anchor = pem(tmp_path / "root.pem", stolen.root.der)
    between = pem(tmp_path / "between.pem", stolen.issuing.der, stolen.responder.der)
    openssl: list[str | Path] = [
        "openssl",
        "verify",
        "-attime",
        str(int(AT.timestamp())),
        "-CAfile",
        anchor,
        "-untrusted",
        between,
    ]
    assert (
        subprocess.run([*openssl, pem(tmp_path / "good.pem", stolen.leaf.der)], capture_output=True).returncode == 0
    )
    for name in stolen.names:
        made = make("organisation", name, USAGE)
        assert not stolen.believes(made)
        done = subprocess.run([*openssl, pem(tmp_path / "made.pem", made.der)], capture_output=True)
        assert done.returncode != 0


@pytest.mark.requirement("R-LEA-5")
def test_it_makes_no_list_on_which_a_stolen_key_is_good_again(stolen: Stolen) -> None:
    serial = x509.load_der_x509_certificate(stolen.leaf.der).serial_number
    since, until = AT - timedelta(hours=1), AT + timedelta(days=1)

    def listed(signer: Made, *serials: int, number: int = 1) -> bytes:
        return made_list(*serials, signer=signer, number=number, since=since, until=until)

    above = listed(stolen.root)
    assert stolen.believes(stolen.leaf, above, listed(stolen.issuing))
    revoked = listed(stolen.issuing, serial)
    for name in stolen.names:
        forged = listed(name, number=2)
        assert not stolen.believes(stolen.leaf, above, revoked, forged)
        assert not stolen.believes(stolen.leaf, above, forged), "it vouches for nobody"


@pytest.mark.requirement("R-LEA-5")
@pytest.mark.parametrize("theirs", [False, True])
def test_it_answers_for_no_other_authority(stolen: Stolen, tmp_path: Path, theirs: bool) -> None:
    now = datetime.now(UTC)
    root, issuing, leaf = chain("infrastructure", "officer") if theirs else (stolen.root, stolen.issuing, stolen.leaf)
    asked, above = (x509.load_der_x509_certificate(one.der) for one in (leaf, issuing))
    mine = x509.load_der_x509_certificate(stolen.responder.der)
    answer = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            asked, above, hashes.SHA256(), ocsp.OCSPCertStatus.GOOD, now, now + timedelta(hours=1), None, None
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, mine)
        .certificates([mine])
        .sign(stolen.responder.key, hashes.SHA256())
    )
    (tmp_path / "answer").write_bytes(answer.public_bytes(Encoding.DER))
    trusted = pem(tmp_path / "trusted.pem", root.der, issuing.der, stolen.root.der, stolen.issuing.der)
    command: list[str | Path] = [
        "openssl", "ocsp", "-sha256", "-respin", tmp_path / "answer", "-CAfile", trusted,
        "-issuer", pem(tmp_path / "issuer.pem", issuing.der), "-cert", pem(tmp_path / "leaf.pem", leaf.der),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert ("Response verify OK" in done.stderr) is not theirs, done.stderr
