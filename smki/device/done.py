"""What became of a command that was obeyed, or of whatever else changes a device."""

from dataclasses import dataclass

from smki.device.state import DeviceKeys, DeviceState


@dataclass(frozen=True)
class Done:
    """The state after it, the payload of the response, and what changed in words."""

    state: DeviceState
    payload: bytes
    changes: tuple[str, ...] = ()
    keys: DeviceKeys | None = None
    """The device's keys, where they changed."""
    alerts: tuple[bytes, ...] = ()
    """What else it sends, because of the act."""
