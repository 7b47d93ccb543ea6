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
    highest = {one: max(counter, state.counters.get(one, counter)) for one in roles}
    return replace(state, counters={**state.counters, **highest})


def with_cells(state: DeviceState, cells: Cells, floors: Mapping[RemotePartyRole, Floors]) -> DeviceState:
    """The state with other cells. What was put off under a key that goes is void; counters of who goes are kept."""
    past, counters = dict(state.past), dict(state.counters)
    for role in sorted({name.role for name in (*state.cells, *cells)} | set(floors)):
        before, now = party(state.cells, role), party(cells, role)
        last, asked = _last(state, role), floors.get(role)
        if before != now:
            past.pop(Past(role, now), None)
            past[Past(role, before)] = last
            known = [one.counter for one in _heard_from(state, now)]
            counters[role] = max([last.counter if asked is None else asked.counter, *known])
        elif asked is not None:
            counters[role] = max(last.counter, asked.counter)
    tokens, token_floor = _tokens(state, party(cells, _TOKENS_OF), floors.get(_TOKENS_OF))
    return replace(
        state,
        cells=cells,
        counters=counters,
        past=dict(list(past.items())[-PAST_KEPT:]),
        pending=tuple(one for one in state.pending if _authority(one, cells) == _authority(one, state.cells)),
        tokens=tokens,
        token_floor=token_floor,
    )


def _tokens(state: DeviceState, supplier: EntityId, asked: Floors | None) -> tuple[tuple[int, ...], int]:
    """The tokens that are remembered, and the number up to which all are used up, of whoever is the supplier now."""
    wanted = None if asked is None else asked.top_up
    if supplier == party(state.cells, _TOKENS_OF):
        floor = state.token_floor if wanted is None else max(state.token_floor, wanted)
        return tuple(one for one in state.tokens if one > floor), floor
    known = [one.top_up for one in _heard_from(state, supplier) if one.top_up is not None]
    return (), max([_last_token(state) if wanted is None else wanted, *known])


def _heard_from(state: DeviceState, entity: EntityId) -> list[Floors]:
    """What was last heard from someone, in each role that they have or had. The root and empty roles are nobody's."""
    if entity == NOBODY:
        return []
    past = [floors for one, floors in state.past.items() if one.entity == entity]
    return past + [_last(state, role) for role in state.counters if party(state.cells, role) == entity]


def _last(state: DeviceState, role: RemotePartyRole) -> Floors:
    return Floors(state.counters.get(role, 0), _last_token(state) if role is _TOKENS_OF else None)


def _last_token(state: DeviceState) -> int:
    return max((*state.tokens, state.token_floor))


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
    # Of top-ups, only the supplier's floor is asked for.
    floors = {role: Floors(one, bundle.top_up_floor) for role, one in bundle.counters.items()}
    keys.secrets.forget()
    after = with_cells(state, bundle.cells, floors)
    same = bundle.own[KeyUsage.KEY_AGREEMENT] == state.own.get(KeyUsage.KEY_AGREEMENT)
    network = (state.network if same else state.network.without_secrets()).under(bundle.joins, state.kind)
    return replace(after, bundle=bundle.version, own=bundle.own, use_cases=bundle.use_cases, network=network)
