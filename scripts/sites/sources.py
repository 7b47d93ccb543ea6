"""What the site is made of: pages of Markdown, manuals, folders and files that pages lead to."""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from scripts.sites.markdown import Rendered, render
from scripts.sites.roff import render_manual

ROOT = Path(__file__).parent.parent.parent
TOP, _LIST = "README.md", "docs/index.md"
_DOCUMENT = re.compile(r"\]\(([^)#]+\.md)")
_PROJECT = ("CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md")
_LARGEST = 1 << 20
_FENCE = "`" * 12  # longer than any in what it holds
_PICTURES = {".svg", ".png"}
_REFERENCES = ("commands", "policies", "files", "errors", "python")


@dataclass(frozen=True)
class Page:
    """One page: where its source stands, what it shows."""

    source: str
    """Its path in the checkout."""
    group: str
    shown: Rendered

    @property
    def target(self) -> str:
        """Its path in the site."""
        if self.source == TOP:
            return "index.html"
        path = PurePosixPath(self.source)
        if self.group in {"", "Folders"}:  # a file or folder as it is, shown
            return f"{self.source.rstrip('/')}/index.html" if self.source.endswith("/") else f"{self.source}.html"
        return str(path.with_suffix(".html")) if path.suffix == ".md" else f"{self.source}.html"


@dataclass
class Pages:
    """All of them by their source, and the pictures they show."""

    all: dict[str, Page] = field(default_factory=dict)
    pictures: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    """Links to what is not there."""

    def groups(self) -> dict[str, list[Page]]:
        """For the navigation, as a reader meets them."""
        found: dict[str, list[Page]] = {}
        for page in self.all.values():
            if page.group not in {"", "Folders"}:
                found.setdefault(page.group, []).append(page)
        return found


def links(page: Page) -> Iterator[tuple[str, str, str]]:
    """Every link that stays in the checkout: as written, the path it leads to, the anchor there."""
    for written in page.shown.links:
        parts = urlsplit(written)
        if parts.scheme or parts.netloc:
            continue
        path = unquote(parts.path)
        beside = posixpath.dirname(page.source)
        target = posixpath.normpath(posixpath.join(beside, path)) if path else page.source
        yield written, f"{target}/" if path.endswith("/") else target, unquote(parts.fragment)


def collect(root: Path) -> Pages:
    """Every document, and what they lead to."""
    pages = Pages()
    for group, sources in _documents(root):
        for source in sources:
            text = (root / source).read_text(encoding="utf-8")
            shown = render(text) if source.endswith(".md") else render_manual(text, set(_manuals(root)))
            pages.all[source] = Page(source, group, shown)
    for page in [*pages.all.values()]:
        for written, target, _ in links(page):
            _follow(root, pages, page, written, target)
    return pages


def _documents(root: Path) -> Iterator[tuple[str, list[str]]]:
    """In the order in which the page of all pages leads to them; what it does not name comes after."""
    guides = sorted(f"docs/{path.name}" for path in (root / "docs").glob("*.md"))
    listed = root / _LIST if _LIST in guides else root / TOP
    named = [_LIST, *_DOCUMENT.findall(listed.read_text(encoding="utf-8"))]
    guides.sort(key=lambda source: next((n for n, name in enumerate(named) if source.endswith(name)), len(named)))
    references = [f"docs/reference/{path.name}" for path in sorted((root / "docs" / "reference").glob("*.md"))]
    order = {f"docs/reference/{name}.md": number for number, name in enumerate(_REFERENCES)}
    yield "Start", [TOP]
    yield "Guides", guides
    yield "References", sorted(references, key=lambda source: order.get(source, len(order)))
    yield "Manual", [f"docs/man/{name}" for name in _manuals(root)]
    yield "Decisions", [f"docs/decisions/{path.name}" for path in sorted((root / "docs" / "decisions").glob("*.md"))]
    yield "Project", [name for name in _PROJECT if (root / name).is_file()]


def _manuals(root: Path) -> list[str]:
    return sorted(
        (path.name for path in (root / "docs" / "man").glob("*.1")), key=lambda name: name.removesuffix(".1")
    )


def _follow(root: Path, pages: Pages, page: Page, written: str, target: str) -> None:
    """Take in what a link leads to: a picture, a folder, or a file to be shown as it is."""
    path = root / target
    inside = path.resolve().is_relative_to(root.resolve())
    if target in pages.all:
        return
    if inside and path.is_file() and path.suffix in _PICTURES:
        pages.pictures.add(target)
    elif inside and path.is_file() and path.stat().st_size <= _LARGEST:
        text = path.read_text(encoding="utf-8")
        pages.all[target] = Page(target, "", render(f"# {target}\n\n{_FENCE}text\n{text}\n{_FENCE}\n"))
    elif inside and path.is_dir():
        source = f"{target.rstrip('/')}/"
        if source not in pages.all:
            shown = _folder(path)
            pages.all[source] = Page(source, "Folders", shown)
            for _, inner, _ in links(pages.all[source]):
                _follow(root, pages, pages.all[source], inner, inner)
    else:
        pages.missing.append(f"{page.source}: {written} leads to nothing")


def _folder(path: Path) -> Rendered:
    """A folder's files, each with what it is called in its first line."""
    lines = [f"# {path.name}/", ""]
    for file in sorted(one for one in path.iterdir() if one.is_file() and not one.name.startswith(".")):
        first = file.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0].lstrip("#; ").strip()
        lines.append(f"- [{file.name}]({file.name}): {first}")
    return render("\n".join(lines))
