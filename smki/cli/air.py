"""The air over a desk: devices in files, within reach of the one that is worked on."""

from collections.abc import Callable, Iterable

from smki.device.establishment import ALONE, Peer
from smki.device.joins import Reachable
from smki.device.state import DeviceKeys, DeviceState
from smki.entity import DeviceType, EntityId
from smki.gbcs.payload.joins import JoinCode

Kept = tuple[DeviceState, DeviceKeys, Callable[[DeviceState, DeviceKeys], None]]


class Air:
    """Whom a device can reach. What the others keep of a join goes into their files.

    With a hub on the desk it is as in a home: only those on its whitelist are introduced to each other.
    """

    def __init__(self, own: EntityId, near: Iterable[Kept]) -> None:
        self._own = own
        self._near = {one[0].device: one for one in near}
        self._reached: dict[EntityId, Reachable] = {}

    def reach(self, device: EntityId) -> Peer | JoinCode:
        found = self._near.get(device)
        if found is None:
            return JoinCode.NO_RESPONSE
        if any(not self._introduces(one[0], device) for one in self._near.values()):
            return JoinCode.NO_PARTNER_LINK_KEY
        reachable = Reachable(found[0], found[1], ALONE)
        if reachable.responder is None:
            return JoinCode.NO_RESPONSE
        self._reached[device] = reachable
        return reachable.responder

    def _introduces(self, state: DeviceState, device: EntityId) -> bool:
        """A proxy is part of its hub, and on no whitelist."""
        proxies = {one[0].device for one in self._near.values() if one[0].kind is DeviceType.GPF}
        listed = {one.device for one in state.network.hub.listed} | proxies
        return state.kind is not DeviceType.CHF or {self._own, device} <= listed

    def settle(self) -> None:
        """Keep what was agreed."""
        for device, reachable in self._reached.items():
            _, keys, keep = self._near[device]
            state = reachable.settle()
            keep(state, keys)
            self._near[device] = state, keys, keep
        self._reached.clear()
