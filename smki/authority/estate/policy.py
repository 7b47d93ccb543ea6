"""What registration.toml and inventory.toml say, inside limits that are code."""

from collections.abc import Mapping
from dataclasses import dataclass

from smki.errors import Refused
from smki.settings import Table, at, parsed
from smki.store.estate_records import DeviceStatus

MOST_LINES = 1_000_000  # one transaction: others wait for its end
_ENDS = {DeviceStatus.DECOMMISSIONED: {DeviceStatus.WITHDRAWN}, DeviceStatus.WITHDRAWN: set[DeviceStatus]()}
"""A device that was taken away may be anybody's by now: no file lets one come back."""


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """What registration.toml says."""

    mprn_check: bool
    enrolled_only: bool
    largest_import: int


class RegistrationFile(Table, frozen=True):
    """Registration data: who supplies, and whose network serves, each meter point."""

    mprn_check: bool
    """Whether the last two digits of an MPRN are checked; those of an MPAN always are."""
    enrolled_only: bool
    """Whether whoever is registered must be enrolled here in that role."""
    largest_import: int
    """Lines in one import: 1 to {MOST_LINES}. Everybody else waits while it is written."""

    def checked(self) -> RegistrationPolicy:
        _check_largest("registration.toml", self.largest_import)
        return RegistrationPolicy(self.mprn_check, self.enrolled_only, self.largest_import)


@dataclass(frozen=True, slots=True)
class InventoryPolicy:
    """What inventory.toml says."""

    largest_import: int
    transitions: Mapping[DeviceStatus, frozenset[DeviceStatus]]

    def allows(self, old: DeviceStatus, new: DeviceStatus) -> bool:
        return new in self.transitions.get(old, frozenset())


class InventoryFile(Table, frozen=True):
    """The inventory of devices."""

    largest_import: int
    """Lines in one import: 1 to {MOST_LINES}."""
    transitions: dict[str, list[str]]
    """For each status of a device those it may become. Whatever stands there, nothing comes back from
    `withdrawn`, and what is `decommissioned` becomes `withdrawn` at most."""

    def checked(self) -> InventoryPolicy:
        _check_largest("inventory.toml", self.largest_import)
        table: dict[DeviceStatus, frozenset[DeviceStatus]] = {}
        for word, others in self.transitions.items():
            status = parsed(DeviceStatus.parse, word, at("inventory.toml", "transitions"))
            if status in table:
                raise Refused("policy.transitions", f"inventory.toml: {word} stands twice", "join its lines")
            table[status] = frozenset(
                parsed(DeviceStatus.parse, other, at("inventory.toml", f"transitions.{word}")) for other in others
            )
            if excess := table[status] - _ENDS.get(status, table[status]):
                words = ", ".join(sorted(item.value for item in excess))
                raise Refused("policy.transitions", f"inventory.toml: {word} becomes {words}", "nothing comes back")
        return InventoryPolicy(self.largest_import, table)


def _check_largest(file: str, value: int) -> None:
    if not 1 <= value <= MOST_LINES:
        raise Refused("policy.import", f"{file}: largest_import = {value}", f"give 1 to {MOST_LINES}")
