"""A terminal's lines as a picture that any browser plays: text as text, no script, no font from elsewhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from rich.cells import cell_len
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

WIDTH = 96  # columns
_COLUMN, _LINE, _MARGIN, _HEAD = 8.4, 18, 18, 46
_SECONDS = 8  # a frame
_GROUND, _TEXT, _DIM = "#11161d", "#d7dee8", "#8a97a8"
_COLORS = [
    "3c4652",
    "ff7b72",
    "7ed385",
    "e6c068",
    "79b8ff",
    "d2a8ff",
    "76d6de",
    "d7dee8",
]  # black to white, as terminals number them
_THEME = TerminalTheme((17, 22, 29), (215, 222, 232), [tuple(bytes.fromhex(color)) for color in _COLORS])


@dataclass(frozen=True)
class Frame:
    """What stands on the terminal at one time."""

    title: str
    lines: tuple[str, ...]


def draw(frames: Sequence[Frame]) -> str:
    """One frame after the other, for ever. Who wants no motion, or cannot have it, sees the first."""
    height = _HEAD + _MARGIN + _LINE * max(sum(1 for _ in _folded(frame)) for frame in frames)
    width = round(2 * _MARGIN + WIDTH * _COLUMN)
    whole, part = _SECONDS * len(frames), 100 / len(frames)
    style = [
        "text{font:13.5px/1 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}",
        f".t{{fill:#fff;font-weight:bold}}.f{{visibility:hidden;animation:show {whole}s step-end infinite}}",
        f"@keyframes show{{0%{{visibility:visible}}{part:.3f}%,100%{{visibility:hidden}}}}",
        *(f".f{place}{{animation-delay:{place * _SECONDS}s}}" for place in range(len(frames))),
        "@media (prefers-reduced-motion){.f{animation:none}.f0{visibility:visible}}",
    ]
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="A terminal: {escape("; ".join(frame.title for frame in frames))}">',
        f"<style>{''.join(style)}</style>",
        f'<rect width="{width}" height="{height}" rx="10" fill="{_GROUND}"/>',
    ]
    for place, frame in enumerate(frames):
        drawn.append(f'<g class="f f{place}">')
        drawn.append(f'<text class="t" x="{_MARGIN}" y="28">{escape(frame.title)}</text>')
        for row, line in enumerate(_folded(frame)):
            if spans := "".join(_spans(line)):
                drawn.append(f'<text y="{_HEAD + _LINE * (row + 0.8):.1f}">{spans}</text>')
        drawn.append("</g>")
    return "\n".join([*drawn, "</svg>", ""])


def _folded(frame: Frame) -> Iterator[Text]:
    """Lines as a terminal breaks them."""
    for line in frame.lines:
        text = Text.from_ansi(line.rstrip())
        while cell_len(text.plain) > WIDTH:
            yield text[:WIDTH]
            text = text[WIDTH:]
        yield text


def _spans(line: Text) -> Iterator[str]:
    """Pieces of one look each, every one at its own column: no font need be as wide as we think."""
    column = 0
    console = Console(color_system="truecolor", force_terminal=True, width=WIDTH)
    for segment in line.render(console):
        text, style = segment.text.rstrip("\n"), segment.style
        if text.strip():
            color = style.color.get_truecolor(_THEME) if style and style.color else None
            look = color.hex if color else _DIM if style and style.dim else _TEXT
            bold = ' font-weight="bold"' if style and style.bold else ""
            x = _MARGIN + column * _COLUMN
            wide = f'textLength="{cell_len(text) * _COLUMN:.1f}" lengthAdjust="spacingAndGlyphs"'
            yield f'<tspan x="{x:.1f}" fill="{look}"{bold} {wide}>{escape(text)}</tspan>'
        column += cell_len(text)
