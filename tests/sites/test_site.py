"""The documents as a site: whole, the same each time, and with no link that leads nowhere."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner

from scripts.sites.__main__ import site
from scripts.sites.build import NotOurs, build
from scripts.sites.links import faults
from scripts.sites.sources import ROOT, Pages, collect


@pytest.fixture(scope="module")
def pages() -> Pages:
    return collect(ROOT)


@pytest.fixture(scope="module")
def built(pages: Pages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "made"
    build(pages, ROOT, out)
    return out


def test_no_link_is_dead_and_no_page_forgotten(pages: Pages) -> None:
    assert faults(pages) == []


def test_every_document_is_a_page(built: Path) -> None:
    sources = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs" / "man").glob("*.1")]
    assert len(sources) > 60
    for source in sources:
        page = str(source.relative_to(ROOT)).removesuffix(".md") + ".html"
        assert (built / page).is_file(), page
    for name in ("index.html", "SECURITY.html", "CHANGELOG.html", "CONTRIBUTING.html", "site.css", "search-index.js"):
        assert (built / name).stat().st_size > 0


class _Reader(HTMLParser):
    """What a browser would fetch from a page, and what one can lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wanted: list[str] = []
        self.ids: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.wanted += [given[name] for name in ("href", "src") if name in given]
        self.ids |= {given["id"]} if "id" in given else set()
        if tag not in {"meta", "link", "input", "br", "img", "hr"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        assert tag not in self.open[-1:], "an element that has an end"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_all_a_page_leads_to_is_in_the_site(built: Path) -> None:
    read = {path: _Reader(path.read_text(encoding="utf-8")) for path in built.rglob("*.html")}
    for path, page in read.items():
        assert page.open == [], path
        for wanted in page.wanted:
            if re.match(r"https?:|mailto:", wanted):
                continue
            name, _, anchor = unquote(wanted).partition("#")
            aim = (path.parent / name).resolve() if name else path
            assert aim.is_file(), f"{path}: {wanted}"
            assert not anchor or anchor in read[aim].ids, f"{path}: {wanted}"


def test_the_same_documents_give_the_same_octets(built: Path, tmp_path: Path) -> None:
    build(collect(ROOT), ROOT, tmp_path / "again")
    assert dict(_octets(tmp_path / "again")) == dict(_octets(built))


def _octets(folder: Path) -> Iterator[tuple[str, bytes]]:
    yield from ((str(path.relative_to(folder)), path.read_bytes()) for path in folder.rglob("*") if path.is_file())


def test_what_somebody_else_made_is_not_overwritten(pages: Pages, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("mine")
    with pytest.raises(NotOurs, match="something else"):
        build(pages, ROOT, tmp_path)
    assert (tmp_path / "letter").read_text() == "mine"


def _tree(folder: Path, **files: str) -> Path:
    (folder / "docs" / "man").mkdir(parents=True)
    (folder / "docs" / "decisions").mkdir()
    for name, text in {"README.md": "# Top\n", **files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"README.md": "# Top\n[a](docs/none.md)\n"}, ["README.md: docs/none.md leads to nothing"]),
        ({"README.md": "# Top\n![a](docs/none.svg)\n"}, ["README.md: docs/none.svg leads to nothing"]),
        ({"README.md": "# Top\n[a](../outside)\n"}, ["README.md: ../outside leads to nothing"]),
        (
            {"README.md": "# Top\n[a](docs/a.md#more)\n", "docs/a.md": "# A\n"},
            ["README.md: docs/a.md#more: docs/a.md has no heading #more"],
        ),
        ({"docs/a.md": "# A\n"}, ["docs/a.md: no page leads to it"]),
        (
            {"docs/a.md": "# A\n[b](b.md)\n", "docs/b.md": "# B\n[a](a.md)\n"},
            ["docs/a.md: no page leads to it", "docs/b.md: no page leads to it"],
        ),
        ({"README.md": "# Top\n[a](docs/a.md#more-of-it) [it](#top)\n", "docs/a.md": "# A\n## More, of it\n"}, []),
        ({"README.md": "# Top\n`[a](none.md)`\n\n```text\n[a](none.md)\n```\n"}, []),
    ],
)
def test_what_is_wrong_is_told(files: dict[str, str], told: list[str], tmp_path: Path) -> None:
    assert faults(collect(_tree(tmp_path, **files))) == told


def test_nothing_in_a_document_becomes_markup_of_its_own(tmp_path: Path) -> None:
    text = "# <b>Top</b>\n<script>alert(1)</script>\n\n[x](javascript:alert)\n\n```text\n</code><script>\n```\n"
    root = _tree(tmp_path / "tree", **{"README.md": text})
    build(collect(root), root, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert page.count("<script") == 1
    assert 'href="javascript' not in page
    assert "</script>" not in (tmp_path / "out" / "search-index.js").read_text(encoding="utf-8")


def test_a_dead_link_ends_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = _tree(tmp_path / "tree", **{"README.md": "# Top\n[a](none.md)\n"})
    monkeypatch.setattr("scripts.sites.__main__.ROOT", root)
    done = CliRunner().invoke(site, ["--out", str(tmp_path / "out")])
    assert (done.exit_code, done.stderr) == (1, "README.md: none.md leads to nothing\n")
    assert not (tmp_path / "out").exists()
