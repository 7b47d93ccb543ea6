"""Devices of the reference messages: cells from the published test keys, agreement without their private keys."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.device.cells import Cell, CellName, CellUse
from smki.device.modes import RULES_BY_CODE
from smki.device.state import DeviceKeys, DeviceState
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.gbcs.use_case import UseCases
from tests.vectors_folder import read_json

_KINDS = {
    "00db1234567890a0": DeviceType.ESME,
    "00db1234567890a1": DeviceType.GSME,
    "00db1234567890a2": DeviceType.CHF,
    "00db1234567890a3": DeviceType.GPF,
    "00db1234567890a4": DeviceType.PPMID,
    "00db1234567890a5": DeviceType.HCALCS,
    "00db1234567890a6": DeviceType.SAPC,
}


@cache
def use_cases() -> UseCases:
    return load_policies(SHIPPED / "policies").use_cases


class BorrowedKey(ec.EllipticCurvePrivateKey):
    """A device's key agreement key that nobody published: agrees by way of the peer's private key, which is."""

    def __init__(self, public_key: ec.EllipticCurvePublicKey, peers: list[ec.EllipticCurvePrivateKey]) -> None:
        self._public_key = public_key
        self._peers = peers

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        for peer in self._peers:
            if peer.public_key() == peer_public_key:
                return peer.exchange(algorithm, self._public_key)
        return bytes(31) + b"\1"  # with a stranger: something that is wrong

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        return 256

    def sign(self, data: Any, signature_algorithm: Any) -> NoReturn:
        raise NotImplementedError

    def private_numbers(self) -> NoReturn:
        raise NotImplementedError

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> NoReturn:  # noqa: A002
        raise NotImplementedError

    def __copy__(self) -> "BorrowedKey":
        return self

    def __deepcopy__(self, memo: Any) -> "BorrowedKey":
        return self


@dataclass
class TestWorld:
    """The parties and devices of the published keys."""

    __test__ = False
    certificates: dict[tuple[str, CellUse], bytes] = field(default_factory=dict)
    roles: dict[str, RemotePartyRole] = field(default_factory=dict)
    privates: list[ec.EllipticCurvePrivateKey] = field(default_factory=list)
    devices: dict[str, ec.EllipticCurvePublicKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in read_json("gbcs", "keys.json")["keys"]:
            if key["private_key_hex"]:
                self.privates.append(ec.derive_private_key(int(key["private_key_hex"], 16), ec.SECP256R1()))
            if key["entity"] == "remote-party":
                self._party(key)
            elif key["usage"] == "KA":
                point = bytes.fromhex(key["public_key_hex"])
                self.devices[key["eui64"]] = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)

    def _party(self, key: dict[str, Any]) -> None:
        use = CellUse.DIGITAL_SIGNATURE if key["usage"] == "DS" else CellUse.KEY_AGREEMENT
        use = CellUse.TOP_UP if key["prepayment"] else use
        pem = key["certificate_pem"].encode()
        self.certificates[key["eui64"], use] = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        self.roles[key["eui64"]] = RemotePartyRole(key["role"])

    def cells(self, originator: str, roles: tuple[RemotePartyRole, ...]) -> dict[CellName, Cell]:
        """Everyone in the cells of their own role; the originator also where it must stand to be obeyed."""
        found = {}
        for (entity, use), der in self.certificates.items():
            if self.roles[entity] is RemotePartyRole.SUPPLIER and entity.endswith("30000"):
                continue  # the supplier to come
            name = CellName(self.roles[entity], use)
            found[name] = Cell.of(der, name)
        if originator in self.roles and self.roles[originator] not in roles and roles:
            for use in (CellUse.DIGITAL_SIGNATURE, CellUse.KEY_AGREEMENT):
                if (originator, use) in self.certificates:
                    name = CellName(roles[0], use)
                    found[name] = Cell.of(self.certificates[originator, use], name)
        return found

    def device(self, header: dict[str, Any]) -> tuple[DeviceState, DeviceKeys] | None:
        """The device a command is for, ready for it; None where its public key was not published."""
        entity = header["recipient_eui64"]
        if entity not in self.devices:
            return None
        table = use_cases()
        rows = [row for row in table.all if f"{int(row.code):04x}" == header["message_code"]]
        senders = rows[0].senders if rows else ()
        replacing = RULES_BY_CODE.get(rows[0].code) if rows else None
        if replacing is not None and replacing.authorising is not None:
            senders = (replacing.authorising.role,)  # as before a handover: the broker's in the cells of others
        kind = _KINDS.get(entity) or (rows[0].devices[0] if rows else DeviceType.ESME)
        state = DeviceState(
            device=EntityId.parse(entity),
            kind=kind,
            bundle=1,
            cells=self.cells(header["originator_eui64"], senders),
            counters=dict.fromkeys(RemotePartyRole, 0),
            tokens=(),
            token_floor=0,
            own_counter=2000,
            own={},
            use_cases=table,
        )
        signing = ec.generate_private_key(ec.SECP256R1())
        return state, DeviceKeys(signing, BorrowedKey(self.devices[entity], self.privates))
