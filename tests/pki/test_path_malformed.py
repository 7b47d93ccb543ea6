"""Malformed certificates and CRLs: refused in words or read whole, quickly, and none of them one of ours."""

import time
from typing import Any

import pytest

from smki.entity import KeyUsage
from smki.errors import InvalidInput, Refused
from smki.pki.chain import crl_faults, profile_faults
from smki.pki.kind import Kind
from smki.pki.path import PathCertificate, PathCrl
from tests.pki.path_cases import cases
from tests.vectors_folder import vectors

FILES = cases("files", "malformed", "index.json")
SLOWEST = 1.0  # seconds


def of_kind(kind: str) -> pytest.MarkDecorator:
    found = [file for file in FILES if file["kind"] == kind]
    return pytest.mark.parametrize("file", found, ids=lambda file: file["file"])


def read(file: dict[str, Any], reader: type[PathCertificate] | type[PathCrl]) -> PathCertificate | PathCrl | None:
    der = vectors("malformed", file["file"]).read_bytes()
    begun = time.process_time()
    try:
        found = reader.read(der)
    except (InvalidInput, Refused):
        return None
    finally:
        assert time.process_time() - begun < SLOWEST
    assert file["expect"] != "reject"
    assert found.der == der
    return found


@pytest.mark.vectors
@of_kind("cert")
def test_certificate_is_refused_or_read_and_is_none_of_ours(file: dict[str, Any]) -> None:
    found = read(file, PathCertificate)
    if isinstance(found, PathCertificate):
        for kind in (Kind.DEVICE, Kind.ORGANISATION):
            for usage in KeyUsage:
                assert list(profile_faults(found, kind, usage))


@pytest.mark.vectors
@of_kind("crl")
def test_crl_is_refused_or_read_and_is_none_of_ours(file: dict[str, Any]) -> None:
    found = read(file, PathCrl)
    if isinstance(found, PathCrl):
        assert list(crl_faults(found))
