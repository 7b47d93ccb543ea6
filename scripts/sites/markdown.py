"""Markdown as HTML, with anchors as code forges give them."""

import html
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

_COMMENT = re.compile(r"^<!--.*?-->\s*?$", re.MULTILINE | re.DOTALL)
_SEARCHED = 1200  # characters of a section that can be found


@dataclass(frozen=True)
class Section:
    """What stands under a heading, for those who search."""

    anchor: str
    heading: str
    depth: int
    words: str


@dataclass(frozen=True)
class Rendered:
    """A page's content."""

    title: str
    body: str
    sections: tuple[Section, ...]
    links: tuple[str, ...] = ()
    """As written, links and pictures."""
    anchors: frozenset[str] = field(default_factory=frozenset)


def render(text: str) -> Rendered:
    """A document."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").enable("strikethrough")
    tokens = markdown.parse(_COMMENT.sub("", text))
    sections = _sections(tokens)
    links = tuple(_links(tokens))
    for token in tokens:
        if token.type == "fence":
            token.type, token.content = "html_block", _code(token.info.strip(), token.content)
        elif token.type == "table_open":
            token.type, token.content = "html_block", '<div class="wide"><table>\n'
        elif token.type == "table_close":
            token.type, token.content = "html_block", "</table></div>\n"
        for child in token.children or ():
            if child.type == "link_open" and isinstance(href := child.attrs.get("href"), str):
                child.attrs["href"] = in_site(href)
    body = markdown.renderer.render(tokens, markdown.options, {})
    title = sections[0].heading if sections else ""
    return Rendered(title, body, tuple(sections), links, frozenset(one.anchor for one in sections))


def in_site(href: str) -> str:
    """Where a link leads in the site: a page of Markdown is one of HTML there, and any other file is shown on one."""
    path, mark, anchor = href.partition("#")
    if not path or "://" in href or href.startswith("mailto:") or path.endswith((".svg", ".png", ".html")):
        return href
    if path.endswith("/"):
        path = f"{path}index.html"
    elif re.fullmatch(r"(\.\./)*README\.md", path):
        path = path.replace("README.md", "index.html")
    else:
        path = f"{path.removesuffix('.md')}.html"
    return f"{path}{mark}{anchor}"


def slug(heading: str) -> str:
    kept = "".join(sign for sign in heading.lower() if sign.isalnum() or sign in "-_ ")
    return kept.replace(" ", "-")


def _sections(tokens: Sequence[Token]) -> list[Section]:
    found: list[tuple[str, str, int, list[str]]] = []
    seen: Counter[str] = Counter()
    for token, inline in zip(tokens, [*tokens[1:], Token("", "", 0)], strict=True):
        if token.type == "heading_open":
            words = _plain(inline)
            anchor = slug(words)
            seen[anchor] += 1
            if seen[anchor] > 1:
                anchor = f"{anchor}-{seen[anchor] - 1}"
            token.attrs["id"] = anchor
            found.append((anchor, words, int(token.tag[1:]), []))
        elif token.type in {"inline", "fence", "code_block"} and found:
            found[-1][3].append(_plain(token) if token.type == "inline" else token.content)
    return [
        Section(anchor, heading, depth, " ".join(" ".join(words).split())[:_SEARCHED])
        for anchor, heading, depth, words in found
    ]


def _plain(inline: Token) -> str:
    children = inline.children or []
    return "".join(
        one.content if one.type in {"text", "code_inline"} else " " * (one.type == "softbreak") for one in children
    )


def _links(tokens: Sequence[Token]) -> list[str]:
    found: list[str] = []
    for token in tokens:
        for child in token.children or ():
            values = (child.attrs.get(name) for name in ("href", "src"))
            found += [value for value in values if isinstance(value, str)]
    return found


def _code(language: str, content: str) -> str:
    """A block of code; in transcripts what one types stands out."""
    lines = html.escape(content).split("\n")
    if language == "console":
        typed = [line.startswith("$ ") for line in lines]
        for number in range(1, len(lines)):
            typed[number] |= typed[number - 1] and lines[number - 1].endswith("\\")
        lines = [f"<b>{line}</b>" if by_hand else line for by_hand, line in zip(typed, lines, strict=True)]
    return f'<pre class="{html.escape(language) or "text"}"><code>{chr(10).join(lines)}</code></pre>\n'
