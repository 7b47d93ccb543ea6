"""The air over a desk: devices in files, within reach of the one that is worked on."""

from collections.abc import Callable, Iterable

from smki.device.establishment import ALONE, Peer
from smki.device.joins import Reachable
from smki.device.state import DeviceKeys, DeviceState
from smki.entity import EntityId
from smki.gbcs.payload.joins import JoinCode

Kept = tuple[DeviceState, DeviceKeys, Callable[[DeviceState, DeviceKeys], None]]


class Air:
    """Whom a device can reach. What the others keep of a join goes into their files."""

    def __init__(self, near: Iterable[Kept]) -> None:
        self._near = {one[0].device: one for one in near}
        self._reached: dict[EntityId, Reachable] = {}

    def reach(self, device: EntityId) -> Peer | JoinCode:
        found = self._near.get(device)
        if found is None:
            return JoinCode.NO_RESPONSE
        reachable = Reachable(found[0], found[1], ALONE)
        if reachable.responder is None:
            return JoinCode.NO_RESPONSE
        self._reached[device] = reachable
        return reachable.responder

    def settle(self) -> None:
        """Keep what was agreed."""
        for device, reachable in self._reached.items():
            _, keys, keep = self._near[device]
            state = reachable.settle()
            keep(state, keys)
            self._near[device] = state, keys, keep
        self._reached.clear()
