"""Payloads in ASN.1: one encoding for each value; long lengths of reference devices made DER (X.690 8.1.3, 10.1)."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat import asn1

from smki.errors import InvalidInput
from smki.gbcs.payload.credentials import CertificateCommand, CodeResponse, StatusCode
from smki.gbcs.payload.declared import (
    element,
    element_octets,
    enumerated,
    enumerated_value,
    read_declared,
    shorten_lengths,
    write_declared,
)


def refused(make: Callable[..., Any], *args: Any) -> str:
    with pytest.raises(InvalidInput) as refusal:
        make(*args)
    assert refusal.value.code == "gbcs.payload"
    return refusal.value.message


def octets(size: int) -> bytes:
    """An OCTET STRING of so many octets, in DER."""
    length = bytes((size,)) if size < 128 else bytes((0x81, size)) if size < 256 else b"\x82" + size.to_bytes(2)
    return b"\x04" + length + bytes(size)


# Statuses


def test_a_status_is_an_enumerated_of_one_octet() -> None:
    for value in (0, 5, 0x7F):
        assert asn1.encode_der(enumerated(value)) == bytes((0x0A, 1, value))
        assert enumerated_value(enumerated(value)) == value
    for der in ("020105", "0a020005", "0a0180", "0a00", "bf814803020101"):
        assert "no ENUMERATED" in refused(enumerated_value, element(bytes.fromhex(der)))


def test_outcomes_in_words() -> None:
    assert StatusCode.NO_TRUST_ANCHOR.words == "no trust anchor"
    assert StatusCode.told(10) == "no trust anchor"
    assert StatusCode.told(11) == "code 11"


# Reading and writing


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 252, 253, 255, 256, 300, 65_531])
def test_a_payload_is_read_and_written_whatever_its_length(size: int) -> None:
    der = octets(size)
    assert write_declared(CertificateCommand(payload=element(der))) == der
    assert element_octets(read_declared(CertificateCommand, der).payload) == der


def test_a_payload_in_any_other_encoding_is_refused() -> None:
    assert read_declared(CodeResponse, b"\x02\x01\x05").payload == 5
    for der in ("", "020105 00", "0201", "02020005", "0281 0105", "0402 0005", "0101ff"):
        assert "not of its use case's form" in refused(read_declared, CodeResponse, bytes.fromhex(der))


def test_an_element_with_a_long_tag_is_none_of_ours() -> None:
    assert "tag of several octets" in refused(element_octets, element(bytes.fromhex("bf814803020101")))
    assert element_octets(element(bytes.fromhex("3003020101"))).hex() == "3003020101"


# Long lengths


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("", ""),
        ("0400", "0400"),
        ("047f" + "00" * 127, "047f" + "00" * 127),
        ("04820080" + "00" * 128, "048180" + "00" * 128),
        ("048200ff" + "00" * 255, "0481ff" + "00" * 255),
        ("04820100" + "00" * 256, "04820100" + "00" * 256),
        ("048180" + "00" * 128, "048180" + "00" * 128),
        ("30820084" + "04820080" + "00" * 128, "308183" + "048180" + "00" * 128),
        ("020105" + "04820080" + "00" * 128, "020105" + "048180" + "00" * 128),
        ("04820084" + "04820080" + "00" * 128, "048184" + "04820080" + "00" * 128),
        ("a0820084" + "04820080" + "00" * 128, "a08183" + "048180" + "00" * 128),
    ],
)
def test_long_lengths_become_short(long: str, short: str) -> None:
    assert shorten_lengths(bytes.fromhex(long)).hex() == short


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ("04", "no length at octet 1"),
        ("0480", "no length at octet 1"),
        ("0481", "no length at octet 1"),
        ("04817f" + "00" * 127, "no length at octet 1"),
        ("0482007f" + "00" * 127, "no length at octet 1"),
        ("048200", "no length at octet 1"),
        ("0483000100" + "00" * 256, "no length at octet 1"),
        ("0402 00", "ends before the element at octet 0"),
        ("020105 0402 00", "ends before the element at octet 3"),
        ("3003 0402 00", "ends before the element at octet 0"),
    ],
)
def test_what_is_no_element_is_refused(payload: str, said: str) -> None:
    assert said in refused(shorten_lengths, bytes.fromhex(payload))


def test_elements_nest_to_sixteen_and_no_deeper() -> None:
    def nested(depth: int) -> bytes:
        found = b""
        for _ in range(depth):
            found = bytes((0x30, len(found))) + found
        return found

    assert shorten_lengths(nested(16)) == nested(16)
    assert "nests too deep" in refused(shorten_lengths, nested(17))
