"""A home and its joins as a picture: in characters for a terminal, and as SVG."""

from collections.abc import Iterator
from math import cos, pi, sin
from xml.sax.saxutils import escape

from smki.device.join_rules import Method
from smki.entity import DeviceType
from smki.parties.han import Member
from smki.parties.han_plan import Joining, Plan

_WIDTH, _HEIGHT = 900, 640
_CENTRE = _WIDTH / 2, _HEIGHT / 2
_ACROSS, _DOWN = 330, 235
_BOX, _TALL = 190, 46
_COLOURS = {Method.A: "#1b6ca8", Method.B: "#7a7a2e", Method.C: "#a8321b"}
_MEANING = {
    Method.A: "A: agreed over the network, both told",
    Method.B: "B: agreed over the network, one told",
    Method.C: "C: agreed from certificates",
}
_NEAR = 0.38  # where on its line a join's letter stands: off the middle, where lines cross


def in_characters(plan: Plan) -> list[str]:
    """A row for each device, a column for each join: a dot for whoever is told, a ring for whoever is not."""
    head = "".join(f"{one.number}{one.pair.method.value}".ljust(4) for one in plan.joins)
    width = max(len(word) for word in plan.home.words) + 1
    lines = [" " * (width + 25) + head.rstrip()]
    for row, member in enumerate(plan.home.members):
        marks = "".join(_mark(plan, one, row).ljust(4) for one in plan.joins)
        lines.append(f"{plan.home.word(member):{width}}{member.device}  {marks}".rstrip())
    return lines


def _mark(plan: Plan, one: Joining, row: int) -> str:
    rows = sorted(plan.home.members.index(member) for member in (one.first, one.second))
    member = plan.home.members[row]
    if row in rows:
        return "●" if any(told.member == member for told in one.commands) else "○"
    return "│" if rows[0] < row < rows[1] else ""


def as_svg(plan: Plan) -> str:
    places = dict(_places(plan))
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            'font-family="sans-serif" font-size="14">',
            f"<title>{escape(plan.home.name)}</title>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
            *_listed(plan, places),
            *(line for one in plan.joins for line in _line(one, places)),
            *(line for member in plan.home.members for line in _box(plan, member, places[member])),
            *_legend(plan),
            "</svg>",
            "",
        )
    )


def _places(plan: Plan) -> Iterator[tuple[Member, tuple[float, float]]]:
    """The hub with its proxy in the middle, everyone else around them."""
    x, y = _CENTRE
    around = [one for one in plan.home.members if one.kind not in {DeviceType.CHF, DeviceType.GPF}]
    for member in plan.home.members:
        if member.kind is DeviceType.CHF:
            yield member, (x, y - _TALL / 2)
        elif member.kind is DeviceType.GPF:
            yield member, (x, y + _TALL / 2 + 2)
        else:
            turn = 2 * pi * around.index(member) / len(around) - pi / 2
            yield member, (x + _ACROSS * cos(turn), y + _DOWN * sin(turn))


def _listed(plan: Plan, places: dict[Member, tuple[float, float]]) -> Iterator[str]:
    """Thin lines to the hub: who is on its whitelist."""
    for told in plan.listing:
        (x1, y1), (x2, y2) = places[told.member], places[told.about]
        yield (
            f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="#bbbbbb" stroke-dasharray="3 5"/>'
        )


def _line(one: Joining, places: dict[Member, tuple[float, float]]) -> Iterator[str]:
    (x1, y1), (x2, y2) = places[one.first], places[one.second]
    colour = _COLOURS[one.pair.method]
    x, y = x1 + (x2 - x1) * _NEAR, y1 + (y2 - y1) * _NEAR
    yield f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="{colour}" stroke-width="3"/>'
    yield f'<circle cx="{x:.0f}" cy="{y:.0f}" r="14" fill="#ffffff" stroke="{colour}" stroke-width="2"/>'
    label = f"{one.number}{one.pair.method.value}"
    yield f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle" fill="{colour}">{label}</text>'


def _box(plan: Plan, member: Member, place: tuple[float, float]) -> Iterator[str]:
    x, y = place
    fill = "#eeeeee" if member in plan.alone else "#f4f8fb"
    yield (
        f'<rect x="{x - _BOX / 2:.0f}" y="{y - _TALL / 2:.0f}" width="{_BOX}" height="{_TALL}" rx="6" fill="{fill}" '
        'stroke="#333333"/>'
    )
    word = escape(plan.home.word(member))
    yield f'<text x="{x:.0f}" y="{y - 4:.0f}" text-anchor="middle" font-weight="bold">{word}</text>'
    yield f'<text x="{x:.0f}" y="{y + 15:.0f}" text-anchor="middle" font-size="12">{member.device}</text>'


def _legend(plan: Plan) -> Iterator[str]:
    methods = [method for method in Method if any(one.pair.method is method for one in plan.joins)]
    for row, method in enumerate(methods):
        yield f'<text x="16" y="{24 + 20 * row}" fill="{_COLOURS[method]}">{_MEANING[method]}</text>'
