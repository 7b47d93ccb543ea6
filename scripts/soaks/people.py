"""Everyone who gives orders to the estate: keys in a token, certificates below one of two roots."""

import os
from dataclasses import dataclass
from pathlib import Path

from smki.device.cells import CellUse
from smki.entity import EntityId, RemotePartyRole
from smki.hsm.key import HsmPrivateKey
from smki.hsm.objects import Usage
from smki.parties.keys import Certified, certified
from tests.device.home import FIRST, SECOND, Party, authority
from tests.house import House

_ROLE = RemotePartyRole
_WHO = {
    "recovery": ("00-00-01", _ROLE.RECOVERY),
    "broker": ("00-00-02", _ROLE.ACCESS_CONTROL_BROKER),
    "cos": ("00-00-04", _ROLE.TRANSITIONAL_COS),
    "north": ("01-00-00", _ROLE.SUPPLIER),
    "south": ("03-00-00", _ROLE.SUPPLIER),
    "west": ("05-00-00", _ROLE.SUPPLIER),
    "wires": ("02-00-00", _ROLE.NETWORK_OPERATOR),
}
_USES: dict[CellUse, Usage] = {
    CellUse.DIGITAL_SIGNATURE: "sign",
    CellUse.KEY_AGREEMENT: "agree",
    CellUse.TOP_UP: "agree",
}


@dataclass(frozen=True)
class People:
    """The parties by name."""

    parties: dict[str, Party]
    wires_again: Party
    """The network operator with new keys, after the old ones were stolen."""

    def __getitem__(self, name: str) -> Party:
        return self.parties[name]

    def signing(self, name: str) -> HsmPrivateKey:
        key = self.parties[name].key(CellUse.DIGITAL_SIGNATURE)
        assert isinstance(key, HsmPrivateKey)
        return key

    @property
    def certificates(self) -> list[Certified]:
        every = [*self.parties.values(), self.wires_again]
        return [certified(one.certificate(use), "a party's") for one in every for use in _USES]


def people(house: House) -> People:
    """Make every key in the workspace's token, and believe both roots."""
    token = house.workspace.open_token("keys")

    def party(name: str, last: str, role: RemotePartyRole) -> Party:
        keys = {use: token.generate_key(f"{name}-{use.value}", os.urandom(16), kind) for use, kind in _USES.items()}
        return Party(EntityId.parse(f"90-B3-D5-1F-30-{last}"), role, dict(keys))

    for name in (FIRST, SECOND):
        for kind, der in (("root", authority(name).root.der), ("issuing", authority(name).issuing.der)):
            _believe(house.home / "anchors" / f"{kind}-{name}.der", der)
    found = {name: party(name, last, role) for name, (last, role) in _WHO.items()}
    return People(found, party("wires-again", *_WHO["wires"]))


def _believe(path: Path, der: bytes) -> None:
    path.write_bytes(der)
    path.chmod(0o600)
