"""Our lists as strangers judge them: OpenSSL, GnuTLS, pyHanko, our own paths; good and revoked, in each hierarchy."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import RevokedError
from pyhanko_certvalidator.policy_decl import PKIXValidationParams

from smki.authority.hierarchy import pem
from smki.authority.publication.act import publish_lists
from smki.entity import KeyUsage
from smki.pki.chain import verify_chain
from smki.pki.crl_lint import lint_crl
from smki.pki.kind import Kind
from smki.pki.path import Options, PathCertificate, PathCrl, TrustAnchor, ValidPath, find_path
from smki.pki.reason import Reason
from tests.authority.desk import POLICY
from tests.authority.publication.leaves import HIERARCHIES, Leaf, issue_leaves, read_leaves, revoke_serials, serial_of
from tests.house import NOW, House, copy_of, opened
from tests.once import once

AFTER = NOW + timedelta(hours=1)
POLICIES = frozenset({x509.ObjectIdentifier(POLICY)})
each_hierarchy = pytest.mark.parametrize("hierarchy", list(HIERARCHIES))


@dataclass(frozen=True)
class Case:
    """A chain, and the lists a stranger fetched with it."""

    leaf: Leaf
    lists: tuple[bytes, ...]
    """Of the issuing authority, of the root, and deltas if there are any."""


@pytest.fixture(scope="session")
def with_leaves(complete: Path) -> Path:
    def make(home: Path) -> None:
        house = opened(copy_of(complete, home))
        issue_leaves(house, home / "leaves.json")
        house.workspace.close()

    return once("with-leaves", make)


class Publisher:
    """A workspace whose clock moves on, and whose policy can be changed."""

    def __init__(self, home: Path) -> None:
        self.now = NOW
        self.house: House = opened(home, lambda: self.now)

    def policy(self, **changes: tuple[str, str]) -> None:
        path = self.house.home / "policies" / "publication.toml"
        text = path.read_text()
        for key, (old, new) in changes.items():
            assert f"{key} = {old}" in text
            text = text.replace(f"{key} = {old}", f"{key} = {new}")
        path.write_text(text)
        self.house.workspace.__dict__.pop("policies", None)

    def contain(self) -> None:
        """Each list with its issuing distribution point."""
        path = self.house.home / "policies" / "publication.toml"
        tables = path.read_text().split("\n\n")
        words = {".root]": "authorities", ".issuing]": "end-entities"}
        for number, table in enumerate(tables):
            for mark, word in words.items():
                if table.startswith("[") and mark in table:
                    tables[number] = table.replace('contains = "all"', f'contains = "{word}"')
        path.write_text("\n\n".join(tables))
        self.house.workspace.__dict__.pop("policies", None)

    def publish(self, *names: str, everything: bool = False) -> None:
        run = publish_lists(self.house.workspace, names, even_if_not_due=everything)
        assert not run.faults

    def octets(self, name: str) -> bytes:
        return (self.house.home / "published" / "crl" / f"{name}.crl").read_bytes()

    def case(self, hierarchy: str) -> Case:
        leaf = read_leaves(self.house, self.house.home / "leaves.json")[hierarchy]
        names = (*leaf.names, *(f"{name}-delta" for name in leaf.names))
        folder = self.house.home / "published" / "crl"
        return Case(leaf, tuple(self.octets(name) for name in names if (folder / f"{name}.crl").exists()))


@pytest.fixture
def publisher(with_leaves: Path, tmp_path: Path) -> Iterator[Publisher]:
    made = Publisher(copy_of(with_leaves, tmp_path / "authority"))
    yield made
    made.house.workspace.close()


# The peers: each says whether the chain is good


def openssl(case: Case, folder: Path, *more: str) -> bool:
    lists = [
        argument
        for number, der in enumerate(case.lists)
        for argument in ("-CRLfile", str(_write(folder / f"{number}.crl.pem", _crl_pem(der, folder))))
    ]
    ca, issuing, leaf = (
        _write(folder / f"{number}.pem", pem(der))
        for number, der in enumerate((case.leaf.root, case.leaf.issuing, case.leaf.der))
    )
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-crl_check_all", "-attime", str(int(AFTER.timestamp())),
         "-policy_check", "-explicit_policy", "-policy", POLICY, *more, *lists,
         "-CAfile", ca, "-untrusted", issuing, leaf], capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        assert "certificate revoked" in done.stderr + done.stdout, done.stderr
    return done.returncode == 0


def _write(path: Path, octets: bytes) -> Path:
    path.write_bytes(octets)
    return path


def _crl_pem(der: bytes, folder: Path) -> bytes:
    raw = _write(folder / "raw.crl", der)
    return subprocess.run(["openssl", "crl", "-inform", "DER", "-in", raw], capture_output=True, check=True).stdout


def openssl_signature(der: bytes, issuer: bytes, folder: Path) -> bool:
    ca = _write(folder / "signer.pem", pem(issuer))
    raw = _write(folder / "one.crl", der)
    done = subprocess.run(
        ["openssl", "crl", "-inform", "DER", "-in", raw, "-noout", "-verify", "-CAfile", ca],
        capture_output=True, text=True,
    )  # fmt: skip
    return "verify OK" in done.stderr


def gnutls(der: bytes, issuer: bytes, folder: Path) -> bool:
    """It asks the machine's clock, and nothing can tell it another time: show it lists of now."""
    ca = _write(folder / "signer.pem", pem(issuer))
    raw = _write(folder / "one.pem", _crl_pem(der, folder))
    done = subprocess.run(
        ["certtool", "--verify-crl", "--infile", raw, "--load-ca-certificate", ca], capture_output=True, text=True
    )
    return done.stdout.rpartition("Verification output: ")[2].startswith("Verified.")


def pyhanko(case: Case) -> bool:
    root, issuing, leaf = (
        asn1_x509.Certificate.load(der) for der in (case.leaf.root, case.leaf.issuing, case.leaf.der)
    )
    if case.leaf.hierarchy == "organisation":
        leaf = issuing  # asn1crypto cannot normalise a name whose unique identifier is a BIT STRING
    context = ValidationContext(
        trust_roots=[root], allow_fetching=False, moment=AFTER, revocation_mode="require", crls=list(case.lists)
    )
    validator = CertificateValidator(
        leaf,
        intermediate_certs=[issuing],
        validation_context=context,
        pkix_params=PKIXValidationParams(user_initial_policy_set=frozenset([POLICY]), initial_explicit_policy=True),
    )
    try:
        asyncio.run(validator.async_validate_path())
    except RevokedError:
        return False
    return True


def ours(case: Case) -> bool:
    anchors = [TrustAnchor.of_certificate(PathCertificate.read(case.leaf.root))]
    crls = [PathCrl.read(der) for der in case.lists]
    if case.leaf.hierarchy == "infrastructure":
        target, issuing = PathCertificate.read(case.leaf.der), PathCertificate.read(case.leaf.issuing)
        options = Options(initial_policies=POLICIES, explicit_policy=True, crls=tuple(crls))
        verdict = find_path(target, anchors, [issuing], AFTER, options)
    else:
        verdict = verify_chain(
            case.leaf.der, [case.leaf.issuing], anchors, AFTER, kind=Kind(case.leaf.hierarchy),
            usage=KeyUsage.DIGITAL_SIGNATURE, policies=POLICIES, crls=crls,
        )  # fmt: skip
    if not isinstance(verdict, ValidPath):
        assert "path.revoked" in verdict.codes, verdict
        return False
    return True


def judgements(case: Case, folder: Path, *more: str) -> dict[str, bool]:
    return {"openssl": openssl(case, folder, *more), "pyhanko": pyhanko(case), "ours": ours(case)}


def everyone(*, says: bool) -> dict[str, bool]:
    return dict.fromkeys(("openssl", "pyhanko", "ours"), says)


# What they say


def check_alone(case: Case, folder: Path) -> None:
    """Each list by itself: signed, and of RFC 5280's form."""
    for der, issuer, stranger in zip(
        case.lists, (case.leaf.issuing, case.leaf.root), (case.leaf.root, case.leaf.issuing), strict=False
    ):
        assert list(lint_crl(der)) == []
        assert openssl_signature(der, issuer, folder)
        assert not openssl_signature(der, stranger, folder)


Revoke = Callable[[Publisher, Leaf], None]


def leaf_revoked(publisher: Publisher, leaf: Leaf) -> None:
    since = NOW - timedelta(days=40)
    revoke_serials(publisher.house, leaf.names[0], serial_of(leaf.der), compromised_at=since)


def authority_revoked(publisher: Publisher, leaf: Leaf) -> None:
    revoke_serials(publisher.house, leaf.names[1], serial_of(leaf.issuing), reason=Reason.CA_COMPROMISE)


@pytest.mark.requirement("R-REV-8")
@pytest.mark.parametrize("narrow", [False, True], ids=["all", "with distribution points"])
@each_hierarchy
def test_all_agree_on_good_and_revoked(publisher: Publisher, hierarchy: str, narrow: bool, tmp_path: Path) -> None:
    if narrow:
        publisher.contain()
    leaf = read_leaves(publisher.house, publisher.house.home / "leaves.json")[hierarchy]
    publisher.publish(*leaf.names)
    check_alone(publisher.case(hierarchy), tmp_path)
    extended = ("-extended_crl",) if narrow else ()
    assert judgements(publisher.case(hierarchy), tmp_path, *extended) == everyone(says=True)

    publisher.now += timedelta(minutes=1)
    leaf_revoked(publisher, leaf)
    publisher.publish()
    check_alone(publisher.case(hierarchy), tmp_path)
    expected = everyone(says=False)
    if hierarchy == "organisation":
        expected["pyhanko"] = True  # it is shown the issuing authority alone
    assert judgements(publisher.case(hierarchy), tmp_path, *extended) == expected

    publisher.now += timedelta(minutes=1)
    authority_revoked(publisher, leaf)
    publisher.publish()
    assert judgements(publisher.case(hierarchy), tmp_path, *extended) == everyone(says=False)


@each_hierarchy
def test_gnutls_verifies_every_list(publisher: Publisher, hierarchy: str, tmp_path: Path) -> None:
    publisher.policy(delta_every=('"off"', '"1h"'))
    publisher.now = datetime.now(UTC) - timedelta(minutes=1)
    leaf = read_leaves(publisher.house, publisher.house.home / "leaves.json")[hierarchy]
    publisher.publish(*leaf.names)
    publisher.now += timedelta(seconds=30)
    leaf_revoked(publisher, leaf)
    publisher.publish(*leaf.names)
    lists = publisher.case(hierarchy).lists
    assert [PathCrl.read(der).is_delta for der in lists] == [False, False, True]
    for der, issuer, stranger in zip(
        lists, (leaf.issuing, leaf.root, leaf.issuing), (leaf.root, leaf.issuing, leaf.root), strict=True
    ):
        assert gnutls(der, issuer, tmp_path)
        assert not gnutls(der, stranger, tmp_path)
        broken = der[:-1] + bytes([der[-1] ^ 1])
        assert not gnutls(broken, issuer, tmp_path)


@pytest.mark.requirement("R-TIM-4")
@each_hierarchy
def test_a_list_that_ended_vouches_for_nobody(publisher: Publisher, hierarchy: str) -> None:
    leaf = read_leaves(publisher.house, publisher.house.home / "leaves.json")[hierarchy]
    publisher.now -= timedelta(days=3)
    publisher.publish(*leaf.names)
    case = publisher.case(hierarchy)
    with pytest.raises(AssertionError, match=r"path\.no-crl"):
        ours(case)


@each_hierarchy
def test_those_who_know_deltas_see_what_a_delta_revokes(publisher: Publisher, hierarchy: str, tmp_path: Path) -> None:
    publisher.policy(delta_every=('"off"', '"1h"'))
    leaf = read_leaves(publisher.house, publisher.house.home / "leaves.json")[hierarchy]
    publisher.publish(*leaf.names)
    publisher.now += timedelta(minutes=1)
    leaf_revoked(publisher, leaf)
    publisher.publish(*leaf.names)
    case = publisher.case(hierarchy)
    assert len(case.lists) == 3, "two complete lists, and the issuing authority's delta"
    assert list(lint_crl(case.lists[2])) == []
    assert PathCrl.read(case.lists[2]).base == PathCrl.read(case.lists[0]).number == 1
    assert not ours(case)
    # OpenSSL and pyHanko look for a delta only where a freshestCRL names its place, and nothing of ours names places.
    assert openssl(case, tmp_path, "-use_deltas", "-extended_crl")
    assert pyhanko(case)
