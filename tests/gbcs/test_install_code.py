"""Install codes, against published examples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smki.errors import InvalidInput
from smki.gbcs.install_code import InstallCode, crc, mmo_hash

PUBLISHED = {  # with CRCs: the ZigBee specification's own example, and one that stacks test with
    "83FED3407A939723A5C639B26916D505C3B5": "66B6900981E1EE3CA4206B6B861C02BB",
    "11223344556677884AF7": "41618FC0C83B0E14A589954B16E31466",
}
HASHED = {
    "C0": "AE3A102A28D43EE0D4A09E22788B206C",  # ZigBee specification annex C.5
    "C0C1C2C3C4C5C6C7C8C9CACBCCCDCECF": "A7977E88BC0B61E8210827109A228F2D",
    "7A939723A5C639B269161802819B": "F93903721685FD329D26849B90F2959A",
    "83FED3407A939723A5C639B269161802AEBB": "333C23686079468EB27BA24BD9C7E564",
}


@pytest.mark.parametrize(("printed", "key"), PUBLISHED.items())
def test_published_codes_give_the_published_keys(printed: str, key: str) -> None:
    code = InstallCode.parse(printed)
    assert code.printed == bytes.fromhex(printed)
    assert code.link_key == bytes.fromhex(key)


@pytest.mark.parametrize(("text", "digest"), {**HASHED, **PUBLISHED}.items())
def test_the_hash(text: str, digest: str) -> None:
    assert mmo_hash(bytes.fromhex(text)) == bytes.fromhex(digest)


def test_the_crc() -> None:
    assert crc(b"123456789") == 0x906E  # the check value of CRC-16/X-25 in catalogues of CRCs
    assert crc(bytes.fromhex("83FED3407A939723A5C639B26916D505")) == 0xB5C3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "83FED3407A939723A5C639B26916D505",  # its CRC is missing
        "83FED3407A939723A5C639B26916D505C3B4",
        "83FED3407A939723A5C639B26916D506C3B5",
        "83FED3407A939723A5C639B26916D505B5C3",  # the other way round
        "83FED3407A939723A5C639B26916D505C3",
        "83FED3407A939723A5C639B26916D505C3B5C3B5",
        "83FED3407A939723A5C639B26916D505C3BX",
        "00" * 100_000,
    ],
)
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        InstallCode.parse(text)
    assert refused.value.code == "install-code.form"
    assert "D505" not in refused.value.message


@given(st.sampled_from((6, 8, 12, 16)).flatmap(lambda size: st.binary(min_size=size, max_size=size)), st.data())
def test_any_slip_of_a_finger_is_caught(octets: bytes, data: st.DataObject) -> None:
    printed = bytearray(InstallCode(octets).printed)
    assert InstallCode.parse(printed.hex(" ")) == InstallCode(octets)
    at = data.draw(st.integers(0, len(printed) - 1))
    printed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InvalidInput):
        InstallCode.parse(printed.hex())


def test_it_shows_itself_nowhere() -> None:
    assert "83" not in repr(InstallCode.parse("83FED3407A939723A5C639B26916D505C3B5"))
