"""What was signed, admitted, handed out and obeyed, and what devices hold since."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from scripts.soaks.day.audit.scene import Checked, Scene, message_of
from smki.device.cells import CellName
from smki.device.state import read_state
from smki.entity import EntityId
from smki.gbcs.message import Message

_RESUMED = "*-resumed.admitted"
_SIGNERS = ("north", "south", "cos")
_OVERTAKEN, _STRANGER = "receive.counter", "receive.originator"
_USES = ("keyCertSign", "digitalSignature", "keyAgreement", "prePaymentTopUp")


def digest(message: Message) -> bytes:
    return hashlib.sha256(message.signed_octets).digest()


class Ledger:
    """Who signed what, by the files that went from hand to hand and the stores of all."""

    def __init__(self, scene: Scene) -> None:
        self.signed: dict[bytes, Message] = {}
        for _, line in scene.lines("*.signed"):
            message = message_of(line)
            if message is not None:
                self.signed[digest(message)] = message
        self.handed: defaultdict[bytes, set[bytes]] = defaultdict(set)
        self.told: defaultdict[bytes, set[str]] = defaultdict(set)
        for _, line in scene.lines("*.admitted"):
            message = message_of(line)
            if message is not None:
                self.handed[digest(message)].add(message.encode())
        self.in_stores = {
            bytes(one)
            for name in _SIGNERS
            for (one,) in scene.rows(
                name, "SELECT signature.digest FROM signature JOIN signed ON signed.digest = signature.digest"
            )
        }
        self.admitted = [
            (number, bytes(one), bytes(originator), bytes(target), int.from_bytes(bytes(counter)))
            for number, one, originator, target, counter in scene.rows(
                "broker", "SELECT number, digest, originator, target, counter FROM admission ORDER BY number"
            )
        ]
        self.waiting: dict[int, str] = dict(scene.rows("broker", "SELECT number, reference FROM outgoing"))
        """Admitted by a run that was killed, and refused since: a home that has another supplier meanwhile."""
        self.refused_at_last = {line["reference"] for _, line in scene.lines(_RESUMED) if line["result"] == "refused"}
        self.heard: list[tuple[bytes, bytes, bytes, str]] = scene.meters(
            "SELECT command, whole, entity, verdict FROM heard ORDER BY number"
        )


def signed(scene: Scene, ledger: Ledger) -> Iterator[Checked]:
    """Signatures hold, each is on its signer's record, each counter is used once and ascends."""
    told, counters = (
        Checked("signatures: they hold, each on its signer's record"),
        Checked("counters: each used once, ascending"),
    )
    keys = {_entity(name, scene): scene.certificate(f"{name}-ds").public_key() for name in _SIGNERS}
    for one, message in ledger.signed.items():
        where = f"{message.header.originator} {message.header.counter}"
        told.holds(
            _verifies(message, keys.get(message.header.originator.octets)), f"the signature of {where} does not hold"
        )
        told.holds(one in ledger.in_stores, f"{where} was signed, and its signer has no record of it")
    used: Counter[tuple[bytes, int]] = Counter()
    for name in _SIGNERS:
        last: dict[str, int] = {}
        for facts in scene.facts(name, "message.signing"):
            counter, who = int(facts["counter"]), facts["originator"]
            used[EntityId.parse(who).octets, counter] += 1
            counters.holds(counter > last.get(who, -1), f"{who}: counter {counter} after {last.get(who, -1)}")
            last[who] = max(counter, last.get(who, -1))
    for (entity, counter), count in used.items():
        counters.same(count, 1, f"{entity.hex()}: counter {counter} was used {count} times")
    yield from (told, counters)


def _entity(name: str, scene: Scene) -> bytes:
    """The EUI-64 in a certificate's subject."""
    subject = scene.certificate(f"{name}-ds").subject
    (value,) = [item.value for item in subject if item.oid == x509.NameOID.X500_UNIQUE_IDENTIFIER]
    assert isinstance(value, bytes)
    return value[-8:]  # before it, how many bits are unused


def _verifies(message: Message, key: Any) -> bool:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not message.signature:
        return False
    r, s = (int.from_bytes(part) for part in (message.signature[:32], message.signature[32:]))
    try:
        key.verify(encode_dss_signature(r, s), message.signed_octets, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def admitted(scene: Scene, ledger: Ledger) -> Iterator[Checked]:
    """Each admitted once, signed before, handed out with one MAC; what is held or refused is not out."""
    told = Checked("admissions: signed, once, counters ascending, handed out with one MAC")
    last: dict[tuple[bytes, bytes], int] = {}
    seen: Counter[bytes] = Counter(one for _, one, *_ in ledger.admitted)
    for number, one, originator, target, counter in ledger.admitted:
        where = f"{originator.hex()} {counter} to {target.hex()}"
        told.same(seen[one], 1, f"{where} was admitted {seen[one]} times")
        told.holds(one in ledger.signed, f"{where} was admitted, and nobody signed it")
        told.holds(counter > last.get((originator, target), -1), f"{where} was admitted after a higher one")
        last[originator, target] = max(counter, last.get((originator, target), -1))
        forms = len(ledger.handed.get(one, ()))
        if number in ledger.waiting:
            told.holds(ledger.waiting[number] in ledger.refused_at_last, f"{where} waits, and nobody was told why")
            told.holds(forms <= 1, f"{where} was handed out in {forms} forms")
        else:
            told.same(forms, 1, f"{where} was handed out in {forms} forms")
    yield told
    kept = Checked("held and refused: none was handed out, none reached a device")
    there = {one for _, one, *_ in ledger.admitted}
    heard = {one for one, *_ in ledger.heard}
    held = {bytes(one) for (one,) in scene.rows("broker", "SELECT digest FROM quarantine")}
    for one in (held | ledger.signed.keys()) - there:
        kept.holds(one not in ledger.handed, f"command {one.hex()[:16]} was not admitted, and is handed out")
        kept.holds(one not in heard, f"command {one.hex()[:16]} was not admitted, and a device heard it")
    for one in ledger.handed.keys() - there - ledger.signed.keys() - held:
        kept.wrong.append(f"command {one.hex()[:16]} was handed out, and nobody signed or admitted it")
    yield kept


def obeyed(scene: Scene, ledger: Ledger) -> Checked:
    """What was handed out was obeyed once; what was not had been overtaken, or its user had been ousted."""
    told = Checked("devices: obeyed = signed, admitted, handed out; once each")
    wholes = {hashlib.sha256(octets).digest(): one for one, all_ in ledger.handed.items() for octets in all_}
    accepted: Counter[bytes] = Counter()
    trios = _suppliers(scene)
    holder: dict[bytes, bytes] = {}
    highest: dict[tuple[bytes, bytes], int] = {}
    for command, whole, entity, verdict in ledger.heard:
        where, message = f"command {command.hex()[:16]} to {entity.hex()}", ledger.signed.get(command)
        told.holds(
            message is not None and wholes.get(whole) == command, f"{where} was heard, and nobody handed it out"
        )
        if message is None:
            continue
        who, counter = message.header.originator.octets, message.header.counter
        if verdict == "accepted":
            accepted[command] += 1
            highest[entity, who] = max(counter, highest.get((entity, who), -1))
            for supplier, der in trios.items():
                if der in message.payload:
                    holder[entity] = supplier
        elif verdict == _OVERTAKEN:
            told.holds(counter <= highest.get((entity, who), -1), f"{where} was refused as old, and it is not")
        elif verdict == _STRANGER:
            told.holds(
                holder.get(entity, _first(entity, trios)) != who, f"{where} was refused, and its user is the supplier"
            )
        else:
            told.wrong.append(f"{where} was refused: {verdict}")
    for command, count in accepted.items():
        told.same(count, 1, f"command {command.hex()[:16]} was obeyed {count} times")
    heard = {command for command, *_ in ledger.heard}
    for command in ledger.handed:
        told.holds(command in heard, f"command {command.hex()[:16]} was handed out, and no device heard it")
    return told


def _suppliers(scene: Scene) -> dict[bytes, bytes]:
    """The certificate for signatures of each supplier, by its EUI-64."""
    return {
        _entity(name, scene): scene.certificate(f"{name}-ds").public_bytes(Encoding.DER)
        for name in ("north", "south")
    }


def _first(entity: bytes, trios: dict[bytes, bytes]) -> bytes:
    """Whose a home was in the morning: by turns."""
    return sorted(trios)[entity[-1] % 2]


def cells(scene: Scene) -> Checked:
    """What the change-of-supplier party believes of a device's cells is in them."""
    told = Checked("cells: each device holds what the outcomes say")
    states = {
        bytes(entity): read_state(state)[0] for entity, state in scene.meters("SELECT entity, state FROM meter")
    }
    for device, number, identifier in scene.rows("cos", "SELECT device, cell, key_identifier FROM cell"):
        state = states.get(bytes(device))
        held = {_cell_number(name): cell.key_identifier for name, cell in state.cells.items()} if state else {}
        told.same(
            held.get(number),
            bytes(identifier),
            f"{bytes(device).hex()}: cell {number} holds another key than is believed",
        )
    return told


def _cell_number(name: CellName) -> int:
    """How the store numbers cells: its role's times eight, and its use."""
    return int(name.role) * 8 + _USES.index(name.use.value)
