"""Device logs: read, told, and given to whoever comes after."""

from dataclasses import replace

import pytest
from cryptography.hazmat import asn1

from smki.device import establishment
from smki.device.cells import CellName, CellUse
from smki.device.establishment import Offer, Responder
from smki.entity import EntityId, RemotePartyRole
from smki.gbcs.agreement import agree
from smki.gbcs.message import Protection, read_message
from smki.gbcs.payload.declared import read_declared, write_declared
from smki.gbcs.payload.joins import (
    CS07,
    GCS59,
    JoinCode,
    JoinMethod,
    LogAlert,
    LogEntry,
    LogResponse,
    NamedDevice,
    NothingCommand,
    Restore,
    RestoreCommand,
    RestoreResponse,
)
from smki.gbcs.protection import mac_holds
from tests.device.desk import key
from tests.device.family import AT, DEVICES, DISPLAY, KIND, STRANGER, Air, Family, stranger
from tests.parties.people import BROKER

A1, A2, B, C = JoinMethod.A_INITIATOR, JoinMethod.A_RESPONDER, JoinMethod.B, JoinMethod.C


@pytest.fixture
def home() -> Family:
    return Family()


def test_the_log_is_read(home: Family) -> None:
    home.join_gas()
    assert home.join(KIND.GSME, B, KIND.GPF) is JoinCode.SUCCESS
    message = home.command(KIND.GSME, CS07, write_declared(NothingCommand(payload=asn1.Null())), signed=False)
    found = home.give(KIND.GSME, message.encode())
    assert found.answer is not None
    log = read_declared(LogResponse, read_message(found.answer).payload).payload
    entries = log.entries or []
    assert [(one.device, one.device_type) for one in entries] == [
        (DEVICES[KIND.PPMID].octets, NamedDevice.PPMID),
        (DEVICES[KIND.GPF].octets, NamedDevice.GPF),
    ]


def test_a_proxys_log_goes_to_the_next_proxy(home: Family) -> None:
    """GCS62 tells it, GCS59 gives it back; no key comes with it."""
    found = home.join(KIND.GPF, B, KIND.TYPE_2)
    assert found is JoinCode.SUCCESS
    message = home.command(KIND.GPF, GCS59, restoring(entry(STRANGER, NamedDevice.PPMID)), signed=False)
    done = home.give(KIND.GPF, message.encode())
    (octets,) = done.alerts
    alert = read_message(octets)
    assert (alert.header.target, alert.protection) == (BROKER, Protection.MAC)
    broker = key(CellName(RemotePartyRole.ACCESS_CONTROL_BROKER, CellUse.KEY_AGREEMENT))
    with agree(broker, home.keys[KIND.GPF].agreement.public_key()) as secret:
        assert mac_holds(alert, secret)
    told = read_declared(LogAlert, alert.payload).payload
    assert (told.alert_code, told.backup_date_time.as_datetime()) == (0x8071, AT)
    assert [one.device for one in told.entries] == [DISPLAY.octets, STRANGER.octets]

    following = Family()
    message = following.command(
        KIND.GPF, GCS59, write_declared(RestoreCommand(payload=Restore(entries=told.entries))), signed=False
    )
    restored = following.give(KIND.GPF, message.encode())
    log = following.states[KIND.GPF].network.log
    assert [one.device for one in log] == [DISPLAY, STRANGER]
    assert [one.partner for one in log] == [None, None]
    assert len(restored.alerts) == 1
    assert following.join(KIND.GPF, B, KIND.TYPE_2) is JoinCode.SUCCESS


def entry(device: EntityId, kind: NamedDevice) -> LogEntry:
    return LogEntry(device=device.octets, device_type=kind)


def restoring(*entries: LogEntry) -> bytes:
    return write_declared(RestoreCommand(payload=Restore(entries=list(entries))))


def test_what_cannot_be_restored_is_told_one_by_one(home: Family) -> None:
    state = home.states[KIND.GPF]
    few = replace(state.network.rules, capacity={KIND.GPF: 1})
    home.states[KIND.GPF] = replace(state, network=replace(state.network, rules=few))
    asked = restoring(
        entry(STRANGER, NamedDevice.ESME),
        entry(STRANGER, NamedDevice.PPMID),
        entry(STRANGER, NamedDevice.TYPE_2),
        entry(DISPLAY, NamedDevice.TYPE_2),
    )
    found = home.give(KIND.GPF, home.command(KIND.GPF, GCS59, asked, signed=False).encode())
    assert found.answer is not None
    outcomes = read_declared(RestoreResponse, read_message(found.answer).payload).payload.outcomes
    assert [one.code for one in outcomes] == [
        JoinCode.INVALID_METHOD_AND_ROLE,
        JoinCode.SUCCESS,
        JoinCode.INCOMPATIBLE_WITH_EXISTING_ENTRY,
        JoinCode.DEVICE_LOG_FULL,
    ]


def test_a_stranger_is_not_answered(home: Family) -> None:
    """Whoever the log does not name, and method B does not allow, hears nothing of a device's key."""
    offer = Offer(STRANGER, KIND.ESME, KIND.HCALCS, stranger(), bytes(16))
    reached = Air(home).reach(DEVICES[KIND.HCALCS])
    assert isinstance(reached, Responder)
    assert reached.answer(offer) is JoinCode.NO_RESPONSE
    assert offer.suite == establishment.SUITE
