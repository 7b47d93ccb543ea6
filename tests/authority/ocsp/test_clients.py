"""Real clients against a real responder's process: OpenSSL and GnuTLS, under two authorities."""

import subprocess
import time

import pytest

from tests.authority.ocsp.served import INFRASTRUCTURE, OCA, Served

CASES = [
    (OCA, "good", "good"),
    (OCA, "revoked", "revoked"),
    (INFRASTRUCTURE, "officer", "good"),
    (INFRASTRUCTURE, "officer revoked", "revoked"),
]


def openssl(served: Served, issuer: str, *arguments: str) -> str:
    command = [
        "openssl", "ocsp", "-issuer", str(served.file(issuer)), "-url", served.url,
        "-CAfile", str(served.file(f"{issuer} chain")), *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Response verify OK" in done.stderr
    assert "WARNING" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("form", [[], ["-no_nonce"]], ids=["nonce", "no-nonce"])
@pytest.mark.parametrize("digest", ["-sha1", "-sha256"])
@pytest.mark.parametrize(("issuer", "what", "status"), CASES)
def test_openssl_is_told(served: Served, issuer: str, what: str, status: str, digest: str, form: list[str]) -> None:
    said = openssl(served, issuer, *form, digest, "-cert", str(served.file(what)))
    assert f"{what.replace(' ', '-')}.pem: {status}" in said
    assert ("Reason: keyCompromise" in said) == (status == "revoked")


@pytest.mark.requirement("R-REV-7")
@pytest.mark.parametrize("issuer", [OCA, INFRASTRUCTURE])
def test_what_was_never_issued_is_unknown(served: Served, issuer: str) -> None:
    assert "0x4D00: unknown" in openssl(served, issuer, "-serial", "0x4D00")
    other = served.numbers["officer" if issuer == OCA else "good"]
    assert f"0x{other}: unknown" in openssl(served, issuer, "-no_nonce", "-serial", f"0x{other}")


def test_several_are_answered_at_once(served: Served) -> None:
    files = [str(served.file(what)) for what in ("good", "revoked")]
    said = openssl(served, OCA, "-cert", files[0], "-cert", files[1], "-serial", "5")
    assert [line.split(": ")[1] for line in said.splitlines() if line[0] != "\t"] == ["good", "revoked", "unknown"]


def test_another_digest_or_authority_is_not_ours_to_answer(served: Served) -> None:
    for issuer, digest in ((OCA, "-sha384"), ("dca-issuing-1", "-sha256"), ("oca-root", "-sha1")):
        command = ["openssl", "ocsp", "-issuer", str(served.file(issuer)), digest, "-serial", "5", "-url", served.url]
        done = subprocess.run(command, capture_output=True, text=True)
        assert "Responder Error: unauthorized (6)" in done.stdout


@pytest.mark.parametrize("nonce", ["--nonce", "--no-nonce"])
@pytest.mark.parametrize(("issuer", "what", "status"), CASES)
def test_gnutls_is_told(served: Served, issuer: str, what: str, status: str, nonce: str) -> None:
    command = [
        "ocsptool", f"--ask={served.url}", "--load-issuer", str(served.file(issuer)),
        "--load-cert", str(served.file(what)), "--load-trust", str(served.file(f"{issuer} chain")),
    ]  # fmt: skip
    if nonce == "--nonce":
        command.append(nonce)
    done = subprocess.run(command, capture_output=True, text=True)
    assert f"Certificate Status: {status}" in done.stdout
    assert "Verifying OCSP Response: Success." in done.stdout, done.stdout + done.stderr


@pytest.mark.requirement("R-REV-7")
def test_a_revocation_is_seen_within_a_second(served: Served) -> None:
    octets = served.request("revoked later")
    assert served.ask(octets).response.certificate_status.name == "GOOD"
    assert served.ask(octets).headers["etag"] == served.ask(octets).headers["etag"], "it is a kept answer"
    committed = served.revoke("revoked later")
    while served.ask(octets).response.certificate_status.name == "GOOD":
        assert time.monotonic() < committed + 2
        time.sleep(0.01)
    assert served.ask(octets).response.certificate_status.name == "REVOKED"
