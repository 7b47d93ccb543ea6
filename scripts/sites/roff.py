"""Manual pages as HTML: the few macros that ours use, and no more."""

import html
import re
from collections.abc import Collection, Iterator

from scripts.sites.markdown import Rendered, Section, slug

_FONTS = {"B": "<b>", "I": "<i>"}


def render_manual(text: str, manuals: Collection[str]) -> Rendered:
    """A page of man(7)."""
    lines = [line for line in text.splitlines() if not line.startswith('.\\"')]
    title = lines[0].split()[1].replace("\\-", "-").lower()
    body, sections = [f'<h1 id="{title}">{title}</h1>'], [Section(title, title, 1, "")]
    links: list[str] = []
    for kind, words in _parts(lines[1:]):
        shown = _linked(_inline(words), manuals, links)
        if kind in {".SH", ".SS"}:
            heading = html.unescape(re.sub("<.*?>", "", _inline(words)))
            anchor = slug(heading)
            level = 2 if kind == ".SH" else 3
            sections.append(Section(anchor, heading, level, ""))
            body.append(f'<h{level} id="{anchor}">{shown}</h{level}>')
        elif kind == ".TP":
            term, _, told = words.partition("\n")
            body.append(f"<dl><dt>{_linked(_inline(term), manuals, links)}</dt><dd>{_inline(told)}</dd></dl>")
        elif kind == ".nf":
            body.append(f'<pre class="text"><code>{_inline(words)}</code></pre>')
        elif words.strip():
            body.append(f"<p>{shown}</p>".replace("\n", "<br>" if kind == ".br" else " "))
    anchors = frozenset(one.anchor for one in sections)
    return Rendered(title, "\n".join(body), tuple(sections), tuple(links), anchors)


def _parts(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Macros with the lines that belong to them."""
    kind, words = ".PP", list[str]()
    for line in [*lines, ".PP"]:
        name, _, rest = line.partition(" ")
        if name in {".B", ".I"}:
            words.append(rf"\f{name[1]}{rest}\fR")
        elif name == ".br":
            kind = ".br"
        elif name in {".SH", ".SS"}:
            yield kind, "\n".join(words)
            yield name, rest
            kind, words = ".PP", []
        elif name in {".PP", ".TP", ".nf", ".fi"}:
            yield kind, "\n".join(words)
            kind, words = (name if name != ".fi" else ".PP"), []
        elif not line.startswith("."):
            words.append(line)
    yield kind, "\n".join(words)


def _inline(words: str) -> str:
    """Fonts and escapes."""
    safe = html.escape(words.replace(r"\&", ""), quote=False)
    safe = re.sub(r"\\\[u([0-9A-F]{4,6})\]", lambda match: chr(int(match[1], 16)), safe)
    safe = safe.replace(r"\-", "-").replace(r"\(aq", "'")
    safe = re.sub(r"\\f([BI])(.*?)\\fR", lambda match: f"{_FONTS[match[1]]}{match[2]}</{match[1].lower()}>", safe)
    return safe.replace(r"\e", "\\")


def _linked(shown: str, manuals: Collection[str], links: list[str]) -> str:
    def link(match: re.Match[str]) -> str:
        if f"{match[1]}.1" not in manuals:
            return match[0]
        links.append(f"{match[1]}.1")
        return f'<a href="{match[1]}.1.html">{match[0]}</a>'

    return re.sub(r"<b>(smki[a-z-]*)</b>\(1\)", link, shown)
