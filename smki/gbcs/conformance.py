"""A conformance run: test vectors of messages, keys and tokens, and each way in which this program disagrees.

For laboratories. Files are JSON of the forms `gbcs-vectors/1`, `gbcs-keys/1`, `gbcs-kdf/1` and `gbcs-utrn/1`. Keys in
them are for tests and known to everybody.
"""

import json
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from smki.entity import EntityId
from smki.errors import InvalidInput, SmkiError
from smki.gbcs.agreement import KeyInfo, Purpose, SharedSecret, agree
from smki.gbcs.gcm import seal
from smki.gbcs.message import GENERAL_CIPHERING, Message, read_message
from smki.gbcs.payload.names import Names
from smki.gbcs.protection import decrypt, encryption_info, mac_holds, signature_holds
from smki.gbcs.top_up import TopUp, Utrn, ValueClass, make_utrn, read_top_up, utrn_holds
from smki.gbcs.words import encrypted_blocks, payload_kind

_CLASSES = {"pence": ValueClass.PENCE, "pennies": ValueClass.PENCE, "pounds": ValueClass.POUNDS}
Case = Mapping[str, Any]
MAX_FILE_OCTETS = 1 << 28


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One thing that a vector says and this program does not."""

    vector: str
    what: str
    expected: str
    found: str

    def as_json(self) -> dict[str, str]:
        return {"vector": self.vector, "what": self.what, "expected": self.expected, "found": self.found}


@dataclass(slots=True)
class Report:
    """What was compared, and what disagreed."""

    vectors: int = 0
    compared: Counter[str] = field(default_factory=Counter)
    disagreements: list[Disagreement] = field(default_factory=list)

    def compare(self, vector: str, what: str, expected: Any, found: Any) -> bool:
        self.compared[what] += 1
        if expected == found and isinstance(expected, bool) == isinstance(found, bool):
            return True
        self.disagreements.append(Disagreement(*(_shown(text) for text in (vector, what, expected, found))))
        return False


def _shown(value: Any) -> str:
    return str(value)[:200].encode("utf-8", "backslashreplace").decode()


class TestKeys:
    """The keys that vectors name; each public, some with their private half."""

    __test__ = False  # pytest: not a collection of tests

    def __init__(self, cases: list[Case]) -> None:
        self._cases = {str(case["key_id"]): case for case in cases}

    def public(self, key_id: str) -> ec.EllipticCurvePublicKey:
        octets = bytes.fromhex(self._cases[key_id]["public_key_hex"])
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets)

    def agree(self, first: str, second: str) -> SharedSecret | None:
        """The secret of two keys, if the private half of one of them is known."""
        for ours, theirs in ((first, second), (second, first)):
            private = self._cases[ours].get("private_key_hex")
            if private:
                return agree(ec.derive_private_key(int(private, 16), ec.SECP256R1()), self.public(theirs))
        return None


def read_document(data: bytes, source: str) -> Any:
    """A file of vectors, as JSON."""
    if len(data) > MAX_FILE_OCTETS:
        raise InvalidInput("check.size", f"{source} is larger than {MAX_FILE_OCTETS} octets", "split it")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidInput("check.form", f"{source} is not JSON", "name a file of vectors") from None


def read_keys(data: bytes, source: str) -> TestKeys:
    """The keys that vectors name."""
    document = read_document(data, source)
    if not isinstance(document, dict) or document.get("schema") != "gbcs-keys/1":
        raise InvalidInput("check.schema", f"{source} is no file of the form gbcs-keys/1", "name the test keys")
    try:
        return TestKeys(document["keys"])
    except (KeyError, TypeError):
        raise InvalidInput("check.form", f"{source} lacks its keys", "mend the file") from None


def run(document: Any, keys: TestKeys, names: Names, report: Report) -> None:
    """Compare one file's vectors."""
    runs: dict[str, Callable[[], None]] = {
        "gbcs-vectors/1": lambda: _run_messages(document["vectors"], keys, names, report),
        "gbcs-kdf/1": lambda: _run_derivation(document, keys, report),
        "gbcs-utrn/1": lambda: _run_tokens(document, keys, report),
    }
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or schema not in runs:
        raise InvalidInput(
            "check.schema", f"vectors of no known schema: {str(schema)[:40]}", f"use {', '.join(runs)}"
        )
    try:
        runs[schema]()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
        raise InvalidInput(
            "check.form", f"a vector is not of its form: {type(error).__name__} {str(error)[:60]}", "mend the file"
        ) from None


# Messages


def _run_messages(cases: list[Case], keys: TestKeys, names: Names, report: Report) -> None:
    read: dict[str, Message] = {}
    for case in cases:
        report.vectors += 1
        message = _read(case, report)
        if message is not None:
            read[case["name"]] = message
            _compare_form(case, message, report)
            _compare_protection(case, message, keys, report)
            _compare_blocks(case, message, keys, names, report)
    for case in cases:
        _compare_becoming(case, read, report)


def _read(case: Case, report: Report) -> Message | None:
    name, octets = case["name"], bytes.fromhex(case["message_hex"])
    try:
        message = read_message(octets)
    except SmkiError as error:
        refused = case["expected"]["parse"] == "error"
        report.compare(name, "parse", case["expected"]["parse"], "error" if refused else f"error: {error.message}")
        return None
    if not report.compare(name, "parse", case["expected"]["parse"], "ok"):
        return None
    written = replace(message).encode()  # of a copy, which knows nothing of the octets it was read from
    report.compare(name, "re-encode", case["message_hex"], written.hex())
    return message


def _compare_form(case: Case, message: Message, report: Report) -> None:
    header, extra = message.header, message.header.supplementary
    other = 2
    found: dict[str, Any] = {
        "cra_flag": int(header.cra),
        "originator_counter": str(header.counter),
        "originator_counter_hex": f"{header.counter:016x}",
        "originator_eui64": header.originator.octets.hex(),
        "recipient_eui64": header.target.octets.hex(),
        "date_time_hex": header.date_time.hex(),
        "message_code": f"{int(header.code):04x}",
    }
    if extra is not None:
        found["supplementary_remote_party_eui64"] = extra.party.octets.hex()
        other += 8
        for key, counter in (
            ("supplementary_remote_party_counter_hex", extra.counter),
            ("supplementary_originator_counter_hex", extra.originator_counter),
        ):
            if counter is not None:
                found[key] = f"{counter:016x}"
                other += 8
        other += len(extra.certificate or b"")
    found["other_information_length"] = other
    for key in set(found) | {
        key for key in case["header"] if key.startswith("supplementary") and key.endswith("hex")
    }:
        report.compare(case["name"], f"header {key}", case["header"].get(key), found.get(key))
    if case.get("protection") is not None:
        report.compare(case["name"], "protection", case["protection"], message.protection.value)
    if case.get("payload") is not None:
        payload = case["payload"]
        offset = (
            bytes.fromhex(case["message_hex"]).index(message.grouped) + len(message.grouped) - len(message.payload)
        )
        report.compare(case["name"], "payload offset", payload["offset"], offset)
        report.compare(case["name"], "payload length", payload["length"], len(message.payload))
        report.compare(case["name"], "payload format", payload["format"], payload_kind(message))


def _compare_protection(case: Case, message: Message, keys: TestKeys, report: Report) -> None:
    name, expected = case["name"], case["expected"]
    ciphered = bytes.fromhex(case["message_hex"][:2])[0] == GENERAL_CIPHERING
    report.compare(name, "wrapper", expected["wrapper"], "general-ciphering" if ciphered else "general-signing")
    signature = expected["signature"]
    field_found = {None: "absent", b"": "null"}.get(message.signature, "present")
    report.compare(name, "signature field", signature["field"], field_found)
    if signature.get("valid") is not None:
        holds = signature_holds(message, keys.public(signature["key_id"]))
        report.compare(name, "signature", signature["valid"], holds)
    mac = expected["mac"]
    report.compare(name, "MAC field", mac["field"], "absent" if message.mac is None else "present")
    if mac.get("valid") is None:
        return
    info = KeyInfo.of_mac(message.header)
    secret = keys.agree(*mac["key_ids"])
    if secret is None:
        raise ValueError("no private key for a MAC that has a verdict")
    with secret:
        _compare_key(name, mac, info, secret, report)
        report.compare(name, "MAC", mac["valid"], mac_holds(message, secret))


def _compare_key(name: str, expected: Case, info: KeyInfo, secret: SharedSecret, report: Report) -> None:
    if "kdf_other_info_hex" in expected:
        report.compare(name, "OtherInfo", expected["kdf_other_info_hex"], info.octets.hex())
    if "derived_key_hex" in expected:
        report.compare(name, "derived key", expected["derived_key_hex"], secret.message_key(info).hex())


def _compare_blocks(case: Case, message: Message, keys: TestKeys, names: Names, report: Report) -> None:
    expected = case["expected"].get("encrypted_blocks", [])
    found: list[tuple[int, int]] = []
    if expected:
        with suppress(SmkiError):
            found = [(block.offset, block.length) for block in encrypted_blocks(message, names)]
        places = [(block["payload_offset"], block["length"]) for block in expected]
        report.compare(case["name"], "encrypted parts", places, found)
    for block in expected:
        start = block["payload_offset"]
        octets = message.payload[start : start + block["length"]]
        secret = keys.agree(*block["key_ids"]) if block.get("valid") is not None else None
        if secret is None:
            continue
        with secret:
            _compare_key(case["name"], block, encryption_info(message.header), secret, report)
            try:
                plaintext: str | None = decrypt(octets, message.header, secret).hex()
            except SmkiError:
                plaintext = None
        report.compare(case["name"], "decryption", block["valid"], plaintext is not None)
        if block["valid"]:
            report.compare(case["name"], "plaintext", block["plaintext_hex"], plaintext)


def _compare_becoming(case: Case, read: Mapping[str, Message], report: Report) -> None:
    """What is signed of a command is what its pre-command said."""
    before, after = read.get(case["name"]), read.get(str(case.get("becomes")))
    if before is not None and after is not None:
        report.compare(case["name"], "signed octets", before.signed_octets.hex(), after.signed_octets.hex())


# Keys and tokens


def _run_derivation(document: Case, keys: TestKeys, report: Report) -> None:
    for case in document["kdf"]:
        report.vectors += 1
        purpose = Purpose[case["mode"].upper()]
        originator, recipient = EntityId.parse(case["originator_eui64"]), EntityId.parse(case["recipient_eui64"])
        info = KeyInfo(originator, purpose, int(case["counter_hex"], 16), recipient)
        secret = keys.agree(*case["key_ids"])
        if secret is None:
            raise ValueError("no private key for a derivation")
        with secret:
            expected = case["expected"]
            report.compare(case["name"], "OtherInfo", expected["other_info_hex"], info.octets.hex())
            report.compare(case["name"], "derived key", expected["derived_key_hex"], secret.message_key(info).hex())
    for case in document.get("gcm", []):
        report.vectors += 1
        _run_gcm(case, report)


def _run_gcm(case: Case, report: Report) -> None:
    # The one known answer whose key is given and not agreed: our IV, any additional data.
    info = KeyInfo(EntityId.parse(case["originator_eui64"]), Purpose.COMMAND, 0, EntityId(bytes(8)))
    plaintext, expected = bytes.fromhex(case["plaintext_hex"]), case["expected"]
    ciphertext, tag = seal(bytes.fromhex(case["key_hex"]), info.iv, plaintext, bytes.fromhex(case["aad_hex"]))
    report.compare(case["name"], "ciphertext", expected["ciphertext_hex"], ciphertext.hex())
    report.compare(case["name"], "tag", expected["tag_hex"], tag[: len(expected["tag_hex"]) // 2].hex())


def _run_tokens(document: Case, keys: TestKeys, report: Report) -> None:
    for case in document["utrn"]:
        report.vectors += 1
        _compare_token(case, keys, report)
    for case in document.get("errors", []):
        report.vectors += 1
        report.compare(case["name"], "refused", True, not list(_top_ups(case)))
    for case in document.get("check_digit", []):
        report.vectors += 1
        try:
            Utrn(case["utrn"])
            right = True
        except InvalidInput as error:
            right = error.code != "topup.check-digit"
        report.compare(case["utrn"], "check digit", case["valid"], right)


def _top_ups(case: Case) -> Iterator[TopUp]:
    nobody = "0000000000000001"
    with suppress(InvalidInput):
        yield TopUp(
            EntityId.parse(case.get("originator_eui64", nobody)),
            EntityId.parse(case.get("target_eui64", nobody)),
            int(case.get("originator_counter", "0")) >> 32,
            _CLASSES[case["value_class"]],
            case["value"],
        )


def _compare_token(case: Case, keys: TestKeys, report: Report) -> None:
    name, expected = case["name"], case["expected"]
    (top_up,) = _top_ups(case)
    secret = keys.agree(*case["key_ids"])
    if secret is None:
        raise ValueError("no private key for a token")
    with secret:
        made = make_utrn(top_up, secret)
        report.compare(name, "UTRN", expected["utrn"], str(made))
        given = Utrn(expected["utrn"])
        report.compare(name, "UTRN holds", True, utrn_holds(given, top_up, secret))
        report.compare(
            name, "UTRN of another", False, utrn_holds(given, replace(top_up, value=top_up.value ^ 1), secret)
        )
    again = read_top_up(given, top_up.originator, top_up.target, top_up.number)
    report.compare(name, "UTRN read", top_up, again)
