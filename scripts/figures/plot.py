"""Small pictures: bars on an axis, lines over steps. Plain SVG on a ground of its own, its text as text."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import log10

_WIDTH, _LABELS, _RIGHT, _ROW, _BAR = 900, 400, 70, 26, 16
_GROUND, _INK, _PALE, _FRAME = "#ffffff", "#1f2328", "#59636e", "#d1d9e0"
COLOURS = ("#2f6fb3", "#b35a2f")
_AIM = "#a40e26"
_STEP_HEIGHT, _STEP_LEFT = 260, 70


@dataclass(frozen=True)
class Bar:
    """One figure."""

    words: str
    value: float | None
    """None: what it would stand beside is not here."""
    aim: float | None = None


@dataclass(frozen=True)
class Panel:
    """Bars on one axis, from 0 to 1 and as far as they reach; or by powers of ten around 1."""

    title: str
    bars: Sequence[Bar]
    by_powers: bool = False

    @property
    def height(self) -> int:
        return 62 + _ROW * len(self.bars)


def bars(title: str, panels: Sequence[Panel], foot: str) -> str:
    """One panel below the other."""
    height = 44 + sum(panel.height for panel in panels) + 26
    return _picture(title, height, _bars(title, panels, foot))


def _bars(title: str, panels: Sequence[Panel], foot: str) -> Iterator[str]:
    yield _text(20, 30, title, 17, weight="bold")
    top = 44
    for panel in panels:
        yield from _panel(panel, top)
        top += panel.height
    yield _text(20, top + 12, foot, 12, _PALE)


def _panel(panel: Panel, top: int) -> Iterator[str]:
    known = [bar.value for bar in panel.bars if bar.value is not None]
    width = _WIDTH - _LABELS - _RIGHT
    if panel.by_powers:
        low, high = min([-1, *map(_floor, known)]), max([1, *(_floor(value) + 1 for value in known)])
        marks = [(10.0**power, f"{10.0**power:g}") for power in range(low, high + 1)]

        def at(value: float) -> float:
            return _LABELS + width * (log10(value) - low) / (high - low)

    else:
        most = max([1.0, *known])
        marks = [(step / 5, f"{step / 5:.1f}") for step in range(int(most * 5) + 1)]

        def at(value: float) -> float:
            return _LABELS + width * value / most

    yield _text(20, top + 18, panel.title, 13, weight="bold")
    bottom = top + 30 + _ROW * len(panel.bars)
    for mark, words in marks:
        colour = _PALE if mark == 1 else _FRAME
        yield f'<line x1="{at(mark):.1f}" y1="{top + 28}" x2="{at(mark):.1f}" y2="{bottom}" stroke="{colour}"/>'
        yield _text(at(mark), bottom + 15, words, 11, _PALE, "middle")
    for number, bar in enumerate(panel.bars):
        yield from _bar(bar, top + 30 + _ROW * number, at, 1.0 if panel.by_powers else 0.0)


def _floor(value: float) -> int:
    return int(log10(value) // 1)


def _bar(bar: Bar, top: int, at: Callable[[float], float], origin: float) -> Iterator[str]:
    middle = top + _ROW // 2 + 1
    yield _text(_LABELS - 10, middle + 4, bar.words, 12.5, anchor="end")
    if bar.value is None:
        yield _text(at(origin) + 6, middle + 4, "not here", 12, _PALE)
        return
    left, right = sorted((at(origin), at(bar.value)))
    colour = COLOURS[1 if bar.aim is not None and bar.value < bar.aim else 0]
    yield (
        f'<rect x="{left:.1f}" y="{middle - _BAR / 2:.1f}" width="{right - left:.1f}" height="{_BAR}"'
        f' fill="{colour}"/>'
    )
    if bar.aim is not None:
        x = at(bar.aim)
        ends = f'x1="{x:.1f}" y1="{top + 1}" x2="{x:.1f}" y2="{top + _ROW - 1}"'
        yield f'<line {ends} stroke="{_AIM}" stroke-width="2.5"/>'
    beyond = max(right, at(bar.aim) if bar.aim is not None else 0)
    yield _text(beyond + 6, middle + 4, f"{bar.value:.2f}" if bar.value < 9.95 else f"{bar.value:,.0f}", 12)


@dataclass(frozen=True)
class Line:
    """One figure at every step."""

    words: str
    values: Sequence[float]


def lines(title: str, steps: Sequence[str], found: Sequence[Line], foot: str) -> str:
    """Values against 1, over steps of equal width."""
    return _picture(title, _STEP_HEIGHT + 95, _lines(title, steps, found, foot))


def _lines(title: str, steps: Sequence[str], found: Sequence[Line], foot: str) -> Iterator[str]:
    yield _text(20, 30, title, 17, weight="bold")
    top, bottom = 70, 70 + _STEP_HEIGHT - 40
    most = max([1.2, *(value for line in found for value in line.values)])
    across = (_WIDTH - _STEP_LEFT - 120) / max(len(steps) - 1, 1)

    def y(value: float) -> float:
        return bottom - (bottom - top) * value / most

    for mark in range(int(most * 5) + 1):
        colour = _PALE if mark == 5 else _FRAME
        ends = f'x1="{_STEP_LEFT}" y1="{y(mark / 5):.1f}" x2="{_WIDTH - 60}" y2="{y(mark / 5):.1f}"'
        yield f'<line {ends} stroke="{colour}"/>'
        yield _text(_STEP_LEFT - 10, y(mark / 5) + 4, f"{mark / 5:.1f}", 11, _PALE, "end")
    for number, step in enumerate(steps):
        yield _text(_STEP_LEFT + 40 + across * number, bottom + 20, step, 12, anchor="middle")
    for number, line in enumerate(found):
        colour = COLOURS[number % len(COLOURS)]
        points = [(_STEP_LEFT + 40 + across * place, y(value)) for place, value in enumerate(line.values)]
        drawn = " ".join(f"{x:.1f},{height:.1f}" for x, height in points)
        yield f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        for (x, height), value in zip(points, line.values, strict=True):
            yield f'<circle cx="{x:.1f}" cy="{height:.1f}" r="4" fill="{colour}"/>'
            yield _text(x, height + (-10 if number % 2 == 0 else 20), f"{value:.2f}", 12, colour, "middle")
        yield f'<rect x="{20 + 420 * number}" y="44" width="14" height="4" fill="{colour}"/>'
        yield _text(42 + 420 * number, 51, line.words, 12.5)
    yield _text(20, bottom + 48, foot, 12, _PALE)


def _text(
    x: float, y: float, words: str, size: float, colour: str = _INK, anchor: str = "start", weight: str = "normal"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"'
        f' font-weight="{weight}">{escape(words)}</text>'
    )


def _picture(title: str, height: int, inside: Iterator[str]) -> str:
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"'
            f' height="{height}" font-family="system-ui, sans-serif" role="img">',
            f"<title>{escape(title)}</title>",
            f'<rect x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="6" fill="{_GROUND}"'
            f' stroke="{_FRAME}"/>',
            *inside,
            "</svg>\n",
        )
    )
