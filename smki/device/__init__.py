"""What a device on the home network holds and decides. Pure: state, octets and time in; verdict and next state out.

Nothing here needs more than `cryptography`: no HSM, no database, no network, no clock.

    keys = DeviceKeys(signing, agreement)
    state = new_state(open_bundle(octets, anchors, now), keys)
    received = receive(state, keys, command, now)
    received.verdict.code, received.answer, received.state
"""

from smki.device.bundle import Bundle, open_bundle
from smki.device.cells import Cell, CellName, CellUse
from smki.device.credentials import Advanced, advance
from smki.device.holders import apply_bundle
from smki.device.receive import Received, receive
from smki.device.state import DeviceKeys, DeviceState, new_state
from smki.device.verdict import Verdict

__all__ = [
    "Advanced",
    "Bundle",
    "Cell",
    "CellName",
    "CellUse",
    "DeviceKeys",
    "DeviceState",
    "Received",
    "Verdict",
    "advance",
    "apply_bundle",
    "new_state",
    "open_bundle",
    "receive",
]
