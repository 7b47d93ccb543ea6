"""Devices in files, within reach of each other: joins by methods A and B, as `smki device receive` has them."""

from collections.abc import Callable
from dataclasses import replace

from smki.cli.air import Air
from smki.device.establishment import Surroundings
from smki.device.network import Hub, Listed
from smki.device.receive import receive
from smki.device.state import DeviceKeys, DeviceState
from smki.gbcs.message import read_message
from smki.gbcs.payload.declared import write_declared
from smki.gbcs.payload.joins import CS03A1, Join, JoinCode, JoinCommand, JoinMethod, NamedDevice
from tests.device.family import AT, DEVICES, KIND, Family


def meter_begins(home: Family, *near: KIND) -> JoinCode:
    """The meter is told to begin with the switch, those near it in files."""
    air = Air(DEVICES[KIND.ESME], ((home.states[kind], home.keys[kind], keeping(home, kind)) for kind in near))
    said = Join(
        method=JoinMethod.A_INITIATOR,
        other_device=DEVICES[KIND.HCALCS].octets,
        other_device_type=NamedDevice.HCALCS,
        other_device_certificate=None,
    )
    message = home.command(KIND.ESME, CS03A1, write_declared(JoinCommand(payload=said)), signed=True)
    found = receive(home.states[KIND.ESME], home.keys[KIND.ESME], message.encode(), AT, Surroundings(air))
    home.states[KIND.ESME] = found.state
    air.settle()
    assert found.answer is not None
    return JoinCode(read_message(found.answer).payload[-1])


def keeping(home: Family, kind: KIND) -> Callable[[DeviceState, DeviceKeys], None]:
    def keep(state: DeviceState, _: DeviceKeys) -> None:
        home.states[kind] = state

    return keep


def shares(home: Family) -> list[bool]:
    ends = ((KIND.ESME, KIND.HCALCS), (KIND.HCALCS, KIND.ESME))
    entries = [home.states[kind].network.find(DEVICES[other]) for kind, other in ends]
    return [entry is not None and entry.partner is not None for entry in entries]


def listing(home: Family, *kinds: KIND) -> None:
    state = home.states[KIND.CHF]
    hub = Hub(listed=tuple(Listed(DEVICES[kind]) for kind in kinds))
    home.states[KIND.CHF] = replace(state, network=replace(state.network, hub=hub))


def test_who_is_near_is_reached() -> None:
    home = Family()
    assert home.join(KIND.HCALCS, JoinMethod.A_RESPONDER, KIND.ESME) is JoinCode.SUCCESS
    assert meter_begins(home) is JoinCode.NO_RESPONSE
    assert shares(home) == [False, False]
    assert meter_begins(home, KIND.HCALCS) is JoinCode.SUCCESS
    assert shares(home) == [True, True]


def test_a_hub_introduces_those_on_its_whitelist() -> None:
    home = Family()
    assert home.join(KIND.HCALCS, JoinMethod.A_RESPONDER, KIND.ESME) is JoinCode.SUCCESS
    for listed in ((), (KIND.ESME,), (KIND.HCALCS,)):
        listing(home, *listed)
        assert meter_begins(home, KIND.HCALCS, KIND.CHF) is JoinCode.NO_PARTNER_LINK_KEY
        assert shares(home) == [False, False]
    listing(home, KIND.ESME, KIND.HCALCS)
    assert meter_begins(home, KIND.HCALCS, KIND.CHF) is JoinCode.SUCCESS
    assert shares(home) == [True, True]
