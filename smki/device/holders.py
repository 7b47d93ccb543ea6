"""Who has which role on a device, and from where their counters go on when that changes (GBCS 13.1, 13.3).

Counters are of whoever has a role. One who comes back, or comes into another role, goes on above all that was ever
heard from them: nothing old is obeyed again.
"""

from collections.abc import Mapping
from dataclasses import replace

from smki.device.bundle import Bundle
from smki.device.cells import NOBODY, Cell, CellName, Cells, CellUse
from smki.device.modes import BROKER_CELL, ROOT_CELL, RULES
from smki.device.state import DeviceKeys, DeviceState, Past, Pending, refuse_others
from smki.device.update import Floors, read_update
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import Refused

PAST_KEPT = 64  # former holders of roles that a device remembers; no home sees more suppliers than that
_TOKENS_OF = RemotePartyRole.SUPPLIER


def party(cells: Cells, role: RemotePartyRole) -> EntityId:
    """Who has a role here: by its signing cell, else by the one it agrees keys with."""
    for use in (CellUse.DIGITAL_SIGNATURE, CellUse.KEY_AGREEMENT):
        cell = cells.get(CellName(role, use))
        if cell is not None:
            return cell.entity
    return NOBODY


def heard(state: DeviceState, role: RemotePartyRole, originator: EntityId, counter: int) -> DeviceState:
    """A counter is used up: in the role that was spoken in, and in every other of the same party."""
    roles = [role, *(other for other in state.counters if party(state.cells, other) == originator)]
    highest = {one: max(counter, state.counters.get(one, 0)) for one in roles}
    return replace(state, counters={**state.counters, **highest})


def with_cells(state: DeviceState, cells: Cells, floors: Mapping[RemotePartyRole, Floors]) -> DeviceState:
    """The state with other cells. What was put off under a key that goes is void; counters of who goes are kept."""
    past, counters = dict(state.past), dict(state.counters)
    tokens, token_floor = state.tokens, state.token_floor
    for role in sorted({name.role for name in cells} | set(floors)):
        before, now = party(state.cells, role), party(cells, role)
        last = Floors(state.counters.get(role, 0), max((*tokens, token_floor)) if role is _TOKENS_OF else None)
        asked = floors.get(role)
        if before == now:
            if asked is not None:
                counters[role] = max(last.counter, asked.counter)
                token_floor = max(token_floor, asked.top_up or 0) if role is _TOKENS_OF else token_floor
            continue
        known = _known(state, role, now)
        past.pop(Past(role, now), None)
        past.pop(Past(role, before), None)
        past[Past(role, before)] = last
        start = last if asked is None else asked
        counters[role] = max(start.counter, known.counter)
        if role is _TOKENS_OF:
            asked_top_up = last.top_up if start.top_up is None else start.top_up
            tokens, token_floor = (), max(asked_top_up or 0, known.top_up or 0)
    return replace(
        state,
        cells=cells,
        counters=counters,
        past=dict(list(past.items())[-PAST_KEPT:]),
        pending=tuple(one for one in state.pending if _authority(one, cells) == _authority(one, state.cells)),
        tokens=tuple(one for one in tokens if one > token_floor),
        token_floor=token_floor,
    )


def _known(state: DeviceState, role: RemotePartyRole, entity: EntityId) -> Floors:
    """The highest that was heard from someone, in whatever role."""
    if entity == NOBODY:
        return Floors(0, 0)
    counters = [floors.counter for one, floors in state.past.items() if one.entity == entity]
    counters += [last for other, last in state.counters.items() if party(state.cells, other) == entity]
    before = state.past.get(Past(role, entity), Floors(0, 0))
    return Floors(max(counters, default=0), before.top_up)


def _authority(waiting: Pending, cells: Cells) -> Cell | None:
    """The cell that what waits has its authority from: with another key in it, it was ordered by nobody we know."""
    update = read_update(waiting.payload)
    if RULES[update.mode].authorising is None:
        return cells.get(ROOT_CELL)
    return cells.get(update.authorising or BROKER_CELL)


def apply_bundle(state: DeviceState, bundle: Bundle, keys: DeviceKeys) -> DeviceState:
    """Give a device a newer bundle. Counters never go back, whatever the bundle says."""
    refuse_others(bundle, keys)
    if (bundle.device, bundle.kind) != (state.device, state.kind):
        raise Refused(
            "bundle.device", f"the bundle is for {bundle.kind.value} {bundle.device}", "give it to that device"
        )
    if bundle.version <= state.bundle:
        raise Refused(
            "bundle.older",
            f"the bundle has version {bundle.version}, and the device has {state.bundle}",
            "export a new one",
        )
    top_up = bundle.top_up_floor
    floors = {role: Floors(one, top_up if role is _TOKENS_OF else None) for role, one in bundle.counters.items()}
    keys.secrets.forget()
    after = with_cells(state, bundle.cells, floors)
    same = bundle.own[KeyUsage.KEY_AGREEMENT] == state.own.get(KeyUsage.KEY_AGREEMENT)
    network = (state.network if same else state.network.without_secrets()).under(bundle.joins, state.kind)
    return replace(after, bundle=bundle.version, own=bundle.own, use_cases=bundle.use_cases, network=network)
