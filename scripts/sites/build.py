"""Writing the site: the same documents give the same octets."""

import html
import json
import posixpath
import shutil
from pathlib import Path

from scripts.sites.sources import Page, Pages

_HERE = Path(__file__).parent
_MARK = ".smki-site"
"""What a folder holds that we made, and may make anew."""
_BELOW_TITLE, _FEW = 2, 3


class NotOurs(Exception):
    """The folder is somebody else's."""


def build(pages: Pages, root: Path, out: Path) -> None:
    """Write every page; what stood there of an earlier site is gone."""
    if out.exists() and any(out.iterdir()) and not (out / _MARK).is_file():
        raise NotOurs(f"{out} holds something else: name an empty folder")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / _MARK).write_text("", encoding="utf-8")
    template = (_HERE / "page.html").read_text(encoding="utf-8")
    for page in pages.all.values():
        _write(out / page.target, _filled(template, pages, page))
    for picture in sorted(pages.pictures):
        target = out / picture
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / picture, target)
    for name in ("site.css", "search.js"):
        shutil.copyfile(_HERE / name, out / name)
    _write(out / "search-index.js", f"const INDEX = {_index(pages)};\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _filled(template: str, pages: Pages, page: Page) -> str:
    up = posixpath.relpath(".", posixpath.dirname(page.target) or ".")
    title = page.shown.title or page.source
    parts = {
        "title": html.escape(title if page.target == "index.html" else f"{title} - smki"),
        "up": up,
        "navigation": _navigation(pages, page),
        "contents": _contents(page),
        "body": page.shown.body,
    }
    for name, text in parts.items():
        template = template.replace(f"{{{{{name}}}}}", text)
    return template


def _navigation(pages: Pages, page: Page) -> str:
    """Every page by groups; open is the group one is in."""
    lines = []
    here = posixpath.dirname(page.target) or "."
    for group, members in pages.groups().items():
        is_open = " open" if group == page.group or group in {"Start", "Guides"} else ""
        lines.append(f"<details{is_open}><summary>{group}</summary><ul>")
        for one in members:
            mark = ' aria-current="page"' if one is page else ""
            href = html.escape(posixpath.relpath(one.target, here))
            lines.append(f'<li><a href="{href}"{mark}>{html.escape(one.shown.title)}</a></li>')
        lines.append("</ul></details>")
    return "\n".join(lines)


def _contents(page: Page) -> str:
    """A long page's headings."""
    heads = [one for one in page.shown.sections if one.depth == _BELOW_TITLE]
    told = all(f"#{one.anchor}" in page.shown.links for one in heads if one.heading != "Contents")
    if len(heads) < _FEW or told:  # it has a table of its own
        return ""
    items = "".join(f'<li><a href="#{html.escape(one.anchor)}">{html.escape(one.heading)}</a></li>' for one in heads)
    return f'<details class="contents" open><summary>On this page</summary><ul>{items}</ul></details>'


def _index(pages: Pages) -> str:
    rows = [
        [page.shown.title, section.heading, f"{page.target}#{section.anchor}", section.words]
        for page in pages.all.values()
        for section in page.shown.sections
    ]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
