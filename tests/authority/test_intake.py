"""Every form in which requests are handed in, and what is bounded before it is believed."""

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.issuance.intake import take_in
from smki.authority.issuance.issue import Hands, issuing
from smki.entity import EntityId
from smki.errors import InvalidInput, Refused
from tests.authority.desk import (
    Desk,
    base64_of,
    codes,
    new_key,
)


def forms(ders: list[bytes], folder: Path) -> Iterator[tuple[str, Path]]:
    """The same requests in every form in which they may come."""
    texts = [x509.load_der_x509_csr(der).public_bytes(Encoding.PEM) for der in ders]
    (folder / "folder").mkdir()
    for number, der in enumerate(ders):
        (folder / "folder" / f"{number}.csr").write_bytes(texts[number] if number % 2 else der)
    yield "folder", folder / "folder"
    with zipfile.ZipFile(folder / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, der in enumerate(ders):
            archive.writestr(f"{number}.csr", texts[number] if number % 2 else der)
    yield "zip", folder / "all.zip"
    with tarfile.open(folder / "all.tar", "w") as tar:
        for number, der in enumerate(ders):
            info = tarfile.TarInfo(f"{number}.csr")
            info.size = len(der)
            tar.addfile(info, io.BytesIO(der))
    yield "tar", folder / "all.tar"
    (folder / "all.pem").write_bytes(b"subject=whatever\n" + b"\n".join(texts))
    yield "pem", folder / "all.pem"
    lines = [json.dumps({"reference": str(number), "request": base64_of(der)}) for number, der in enumerate(ders)]
    (folder / "all.jsonl").write_text("\n".join(lines) + "\n")
    yield "json", folder / "all.jsonl"


def test_every_form_of_batch_holds_the_same_requests(desk: Desk, tmp_path: Path) -> None:
    ders = [desk.device_csr(EntityId.parse(f"00-DB-12-00-00-00-00-{n:02X}")) for n in range(5)]
    digests = set()
    for name, path in forms(ders, tmp_path):
        with take_in(path, io.BytesIO(), tmp_path, 10) as intake:
            assert [asked.der for asked in intake] == ders, name
            assert [asked.der for asked in intake] == ders, f"{name}, a second time"
            digests.add(intake.digest)
        if path.is_file():
            with take_in(None, io.BytesIO(path.read_bytes()), tmp_path, 10) as piped:
                assert [asked.der for asked in piped] == ders, f"{name} from a pipe"
    assert len(digests) == 1, "a batch is its requests, not their wrapping"


@pytest.mark.requirement("R-LAY-2")
def test_more_than_the_largest_batch_is_refused_while_reading(desk: Desk, tmp_path: Path) -> None:
    ders = [desk.device_csr(EntityId.parse(f"00-DB-12-00-00-00-00-{n:02X}")) for n in range(3)]
    for _, path in forms(ders, tmp_path):
        with pytest.raises(Refused) as caught:
            take_in(path, io.BytesIO(), tmp_path, 2)
        assert caught.value.code == "intake.count"


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 and nothing more",
        b"x" * 257 + b"ustar" + b"x" * 300,
        b"{" * 100_000,
        b"-----BEGIN CERTIFICATE REQUEST-----\n" + b"A" * 100_000,
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"\x30" * 100_000,
        b'{"request": "AAAA", "more": 1}\n{"request": 5}\n{}\n',
        b"\x00",
        b'{"request": ' + b"[" * 16_000,
        b"-----BEGIN CERTIFICATE REQUEST-----\n" + b"\n" * 300_000,
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n" * 3,
    ],
)
def test_rubbish_is_refused_or_becomes_requests_that_are(data: bytes, desk: Desk, tmp_path: Path) -> None:
    archive = data.startswith(b"PK") or b"ustar" in data
    refused = pytest.raises(InvalidInput, match="broken") if archive else nullcontext()
    with refused, take_in(None, io.BytesIO(data), tmp_path, 10_000) as intake:
        outcomes = desk.answer(desk.order(), intake, dry_run=True)
        assert outcomes
        assert all(outcome.faults for outcome in outcomes)


@pytest.mark.requirement("R-LAY-2")
def test_a_bomb_in_an_archive_is_read_no_further_than_a_request_goes(desk: Desk, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(50_000_000))
    with take_in(tmp_path / "bomb.zip", io.BytesIO(), tmp_path, 10) as intake:
        (asked,) = intake
        assert len(asked.der) < 20_000
        (outcome,) = desk.answer(desk.order(), intake, dry_run=True)
        assert codes(outcome) == {"request.size"}


def long_header(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def folder_header(number: int) -> bytes:
    info = tarfile.TarInfo(f"folder-{number}")
    info.type = tarfile.DIRTYPE
    return info.tobuf()


@pytest.mark.parametrize(
    "data",
    [
        long_header(tarfile.GNUTYPE_LONGNAME, 1 << 33),
        long_header(tarfile.XHDTYPE, 1 << 33),
        (long_header(tarfile.GNUTYPE_LONGNAME, 512) + b"a".ljust(512, b"\x00")) * 2000,
        b"".join(map(folder_header, range(10_001))),
    ],
    ids=["long name", "long attributes", "chained", "folders"],
)
def test_a_tar_is_bounded_before_it_is_believed(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="broken tar"):
        take_in(None, io.BytesIO(data), tmp_path, 10)


def test_a_zips_list_is_bounded_before_it_is_read(tmp_path: Path) -> None:
    end = b"PK\x05\x06" + bytes(6) + b"\xff\xff" + (1 << 25).to_bytes(4, "little") + bytes(6)
    with pytest.raises(Refused) as caught:
        take_in(None, io.BytesIO(b"PK\x03\x04" + bytes(100) + end), tmp_path, 10)
    assert caught.value.code == "intake.zip-size"


def test_requests_that_say_much_do_not_stop_the_crew(desk: Desk, tmp_path: Path) -> None:
    """Jobs and answers larger than what fits between two processes."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    for number in range(150):
        oid = x509.ObjectIdentifier(f"1.3.6.1.4.1.99999.{number}")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, b"\x05\x00"), critical=False)
    line = json.dumps({"request": base64_of(builder.sign(new_key(), hashes.SHA256()).public_bytes(Encoding.DER))})
    wanted = desk.order()
    data = io.BytesIO(f"{line}\n".encode() * 3000)
    with (
        Hands(desk.workspace, wanted, 1) as hands,
        take_in(None, data, tmp_path, 3000, hands.start) as intake,
        issuing(desk.workspace, wanted, intake, hands, dry_run=True) as outcomes,
    ):
        refused = list(outcomes)
    assert len(refused) == 3000
    assert all("request.extension" in codes(outcome) for outcome in refused)
    assert all(len(fault.message) < 500 for outcome in refused for fault in outcome.faults)


def test_a_reference_cannot_move_the_cursor(tmp_path: Path) -> None:
    data = json.dumps({"request": "AAAA", "reference": "\x1b[2Jevil\n" + "x" * 500}).encode()
    with take_in(None, io.BytesIO(data), tmp_path, 10) as intake:
        (asked,) = intake
        assert asked.reference.isprintable()
        assert len(asked.reference) <= 200
