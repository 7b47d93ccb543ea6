"""NIST PKITS on P-256 keys: every case the folder holds, as the ordered path it states and as a bag to build from."""

import base64
from datetime import datetime
from functools import cache
from typing import Any

import pytest
from cryptography.x509 import ObjectIdentifier

from smki.errors import InvalidInput
from smki.pki.path import (
    InvalidPath,
    Options,
    PathCertificate,
    PathCrl,
    TrustAnchor,
    ValidPath,
    find_path,
    verify_path,
)
from smki.pki.verdict import Fault
from tests.pki.path_cases import cases, settle
from tests.vectors_folder import read_json

CASES = cases("cases", "pkits-p256", "pkits.json")


@cache
def pkits() -> dict[str, Any]:
    found: dict[str, Any] = read_json("pkits-p256", "pkits.json")
    return found


def certificates(names: list[str]) -> list[PathCertificate]:
    return [PathCertificate.read(base64.b64decode(pkits()["certs"][name])) for name in names]


def options(case: dict[str, Any]) -> Options:
    return Options(
        initial_policies=frozenset(map(ObjectIdentifier, case["initialPolicySet"])),
        explicit_policy=case["initialExplicitPolicy"],
        inhibit_mapping=case["initialPolicyMappingInhibit"],
        inhibit_any=case["initialAnyPolicyInhibit"],
        crls=tuple(PathCrl.read(base64.b64decode(pkits()["crls"][name])) for name in case["crls"]),
        crl_signers=tuple(certificates(case["crlSignerCerts"])),
    )


def verdict(case: dict[str, Any], *, build: bool) -> ValidPath | InvalidPath:
    at = datetime.fromisoformat(pkits()["validationTime"])
    try:
        top, *path = certificates(case["path"])
        # RFC 5280 does not look at the anchor's own certificate.
        anchor = TrustAnchor(top.subject, top.point, top.key_identifier)
        if build:
            return find_path(path[-1], [anchor], path[:-1], at, options(case))
        return verify_path(anchor, path, at, options(case))
    except InvalidInput as error:
        return InvalidPath((Fault(error.code, error.message, error.remedy),))


@pytest.mark.vectors
@pytest.mark.parametrize("build", [False, True], ids=["ordered", "built"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case(case: dict[str, Any], build: bool) -> None:
    settle("pkits", case["id"], case["shouldValidate"], verdict(case, build=build))
