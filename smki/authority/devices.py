"""Which trust anchor cells each kind of device has (devices.toml)."""

from collections.abc import Mapping

from smki.device.cells import CellName, CellUse
from smki.entity import DeviceType, RemotePartyRole
from smki.errors import Refused
from smki.settings import Table, at, parsed

_ALWAYS = (
    CellName(RemotePartyRole.ROOT, CellUse.KEY_CERT_SIGN),
    CellName(RemotePartyRole.ACCESS_CONTROL_BROKER, CellUse.KEY_AGREEMENT),
)
"""Without these a device could neither check a certificate nor a MAC: no file takes them away."""


class _DeviceTable(Table, frozen=True):
    cells: list[str]
    """Each a role and a use (`keyCertSign`, `digitalSignature`, `keyAgreement`, `prePaymentTopUp`): the root and
    the broker's key agreement always."""


class DevicesFile(Table, frozen=True):
    """The trust anchor cells of each kind of device."""

    devices: dict[str, _DeviceTable]
    """By kind: ESME, GSME and so on."""

    def checked(self) -> Mapping[DeviceType, tuple[CellName, ...]]:
        return {
            parsed(DeviceType.parse, word, at("devices.toml", "devices")): _cells(word, table.cells)
            for word, table in self.devices.items()
        }


def _cells(device: str, words: list[str]) -> tuple[CellName, ...]:
    names = tuple(parsed(CellName.parse, word, at("devices.toml", f"devices.{device}.cells")) for word in words)
    if len(set(names)) != len(names):
        raise Refused("policy.cells", f"devices.toml: {device} has a cell twice", "name each cell once")
    for name in _ALWAYS:
        if name not in names:
            raise Refused("policy.cells", f"devices.toml: {device} lacks cell `{name}`", "every device has it")
    for name in names:
        if (name.use is CellUse.KEY_CERT_SIGN) != (name.role is RemotePartyRole.ROOT):
            raise Refused("policy.cells", f"devices.toml: {device}: `{name}`", "only the root signs certificates")
    return names
