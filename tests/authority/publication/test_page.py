"""The page in a real browser: what a person sees, on a screen and on a phone, by day and by night."""

import dataclasses
import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import pytest

from smki.authority.publication.lists import published_lists
from smki.authority.publication.page import page
from smki.authority.publication.picture import Picture, left, take_picture
from smki.pki.status import Status
from smki.store.note import read_checkpoint
from tests.authority.publication.browser import Browser, browsing, serving, why_not
from tests.house import NOW, opened

needs_browser = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def address(issued: Path) -> Iterator[str]:
    with serving(issued / "published") as site:
        yield site.address


@pytest.fixture(scope="module")
def picture(issued: Path) -> Picture:
    house = opened(issued)
    store = house.workspace.store
    note, spki = store.latest_checkpoint(), store.audit_key
    assert note is not None
    assert spki is not None
    found = take_picture(house.workspace, read_checkpoint(note, spki))
    assert found.lists == published_lists(house.workspace)
    house.workspace.close()
    return found


ROWS = """
return [...document.querySelectorAll("table")].map(table => ({
  caption: table.caption.innerText,
  heads: [...table.querySelectorAll("thead th[scope=col]")].map(cell => cell.textContent),
  rows: [...table.querySelectorAll("tbody tr")].map(row => [...row.cells].map(cell => cell.innerText.trim())),
  named: [...table.querySelectorAll("tbody tr")].every(row => row.cells[0].matches("th[scope=row]")),
}));
"""


@needs_browser
def test_a_person_sees_every_authority_and_list(browser: Browser, address: str, picture: Picture) -> None:
    browser.screen(1280)
    browser.open(address)
    text = browser.run("return document.body.innerText")
    assert picture.title in text
    assert all(title in text for title in picture.titles.values())
    tables = browser.run(ROWS)
    assert [table["caption"] for table in tables] == ["Authorities", "Revocation lists"] * 3
    assert all(table["named"] for table in tables)
    authorities = [row for table in tables[::2] for row in table["rows"]]
    assert [row[0] for row in authorities] == [item.name for item in picture.authorities]
    assert [row[2] for row in authorities] == [item.key_identifier for item in picture.authorities]
    assert [row[3] for row in authorities] == [
        f"{item.not_after:%Y-%m-%d %H:%M:%S} UTC" for item in picture.authorities
    ]
    lists = [row for table in tables[1::2] for row in table["rows"]]
    assert [(row[0], row[1], row[2]) for row in lists] == [
        (item.name, str(item.number), f"{item.entries:,}") for item in picture.lists
    ]
    assert [row[4] for row in lists] == [f"{item.next_update:%Y-%m-%d %H:%M:%S} UTC" for item in picture.lists]
    assert [heading for table in tables for heading in table["heads"]].count("Left") == 6
    assert browser.complaints() == []


@needs_browser
def test_every_link_leads_somewhere_and_nothing_comes_from_elsewhere(browser: Browser, address: str) -> None:
    browser.screen(1280)
    browser.open(address)
    links = browser.run("return [...document.querySelectorAll('a[href], link[rel=alternate]')].map(a => a.href)")
    assert len(links) > 20
    for link in set(links):
        assert link.startswith(address)
        with urllib.request.urlopen(link) as answer:  # noqa: S310 - our own server
            assert answer.status == 200
    fetched = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in fetched if not name.startswith("data:")] == []
    names = browser.run(
        "return [...document.querySelectorAll('a')].map(a => a.getAttribute('aria-label') || a.innerText)"
    )
    assert len(set(names)) == len(names), "each link says by itself where it leads"


OUTSIDE = """
return [...document.querySelectorAll("main *, header *, footer *")]
  .filter(e => { const b = e.getBoundingClientRect(); return b.width > 1 && (b.right > 360.5 || b.left < 0); })
  .map(e => e.outerHTML.slice(0, 80));
"""


@needs_browser
def test_it_can_be_read_on_a_phone(browser: Browser, address: str) -> None:
    browser.screen(360, 740)
    browser.open(address)
    assert browser.run(OUTSIDE) == []
    assert browser.run("return [innerWidth, document.documentElement.scrollWidth]") == [360, 360]
    label = "return getComputedStyle(document.querySelector('tbody td'), '::before').content"
    assert browser.run(label).startswith('"Role"')
    roles = browser.run("return [...document.querySelectorAll('table, tbody, tbody tr, tbody td')].map(e => e.role)")
    assert set(roles) == {"table", "rowgroup", "row", "cell"}, "rows shown as cards are a table still"
    assert browser.complaints() == []


# Of each text that shows: its colour, and the nearest background under it.
COLOURS = """
const rgb = text => text.match(/[\\d.]+/g).map(Number);
const under = element => {
  for (let e = element; e; e = e.parentElement) {
    const found = rgb(getComputedStyle(e).backgroundColor);
    if (found.length === 3 || found[3] > 0) return found.slice(0, 3);
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll("body *")]
  .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && e.getClientRects().length)
  .map(e => [e.tagName, rgb(getComputedStyle(e).color).slice(0, 3), under(e)]);
"""


def brightness(colour: list[float]) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [value / 255 for value in colour]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_stands_out_by_day_and_by_night(
    browser: Browser, picture: Picture, tmp_path: Path, scheme: str
) -> None:
    (tmp_path / "index.html").write_bytes(page(troubled(picture)))
    with serving(tmp_path) as site:
        browser.screen(1280, scheme=scheme)
        browser.open(site.address)
        colours = browser.run(COLOURS)
        assert browser.run("return document.querySelectorAll('.over, .soon').length") >= 3
    assert len(colours) > 100
    for tag, ink, paper in colours:
        light, dark = sorted((brightness(ink), brightness(paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (tag, ink, paper)  # WCAG 2.2 1.4.3, level AA
    back = next(paper for tag, _, paper in colours if tag == "H1")
    assert (brightness(back) > 0.8) is (scheme == "light")
    assert (brightness(back) < 0.05) is (scheme == "dark")


def troubled(picture: Picture) -> Picture:
    """Everything that can be wrong, as seen now: the browser's clock decides what it shows."""
    now = datetime.now(UTC)
    first, second, *rest = picture.lists
    one, two, *others = picture.authorities
    return dataclasses.replace(
        picture,
        made_at=now,
        lists=(
            dataclasses.replace(first, this_update=now - timedelta(hours=48), next_update=now - timedelta(seconds=1)),
            dataclasses.replace(
                second, this_update=now - timedelta(hours=40), next_update=now + timedelta(hours=8, seconds=30)
            ),
            dataclasses.replace(second, kind="delta", file="crl/oca-issuing-1-delta.crl", number=9, size=41_234_567),
            *rest,
        ),
        authorities=(
            dataclasses.replace(one, status=Status.REVOKED),
            dataclasses.replace(two, not_after=now - timedelta(days=1), status=Status.EXPIRED, issuing=False),
            *others,
        ),
    )


@needs_browser
def test_times_left_follow_the_readers_clock(browser: Browser, picture: Picture, tmp_path: Path) -> None:
    old = dataclasses.replace(troubled(picture), made_at=NOW - timedelta(days=365))
    (tmp_path / "index.html").write_bytes(page(old))
    with serving(tmp_path) as site:
        browser.screen(1280)
        browser.open(site.address)
        rows = [row for table in browser.run(ROWS) for row in table["rows"]]
        assert "now, by your clock" in browser.run("return document.querySelector('header').innerText")
    assert rows[0][4] == "revoked"
    assert rows[1][4] == "expired"
    assert rows[1][1] == "issued before"
    assert (rows[2][5], rows[3][5]) == ("lapsed", "8 h 0 min")
    assert rows[4][0] == "oca-issuing-1, delta"
    assert rows[4][6].endswith("41.2 MB")
    assert browser.complaints() == []


@needs_browser
def test_it_is_whole_without_script(browser: Browser, picture: Picture, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(page(picture))
    browser.screen(1280)
    browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
    try:
        with serving(tmp_path) as site:
            browser.open(site.address)
            rows = [row for table in browser.run(ROWS) for row in table["rows"]]
            assert "as of then" in browser.run("return document.querySelector('header').innerText")
        assert [row[4] for row in rows if len(row) == 6] == [
            left(item.not_after, picture.made_at) for item in picture.authorities
        ]
        assert [row[5] for row in rows if len(row) == 7] == [
            left(item.next_update, picture.made_at) for item in picture.lists
        ]
    finally:
        browser.devtools("Emulation.setScriptExecutionDisabled", value=False)


HOSTILE = (
    "</title></script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">&amp;"
)


@needs_browser
def test_no_name_becomes_anything_but_text(browser: Browser, picture: Picture, tmp_path: Path) -> None:
    names = dict.fromkeys(picture.titles, HOSTILE)
    (tmp_path / "index.html").write_bytes(page(dataclasses.replace(picture, titles=names, environment=HOSTILE)))
    with serving(tmp_path) as site:
        browser.screen(1280)
        browser.open(site.address)
        assert browser.run("return document.title") == f"Smart metering key infrastructure ({HOSTILE})"
        assert browser.run("return document.querySelector('h2').textContent") == HOSTILE
        assert browser.run("return document.querySelectorAll('img, script').length") == 1
    assert browser.complaints() == []


@needs_browser
def test_its_own_policy_forbids_every_other_script_style_and_address(
    browser: Browser, picture: Picture, tmp_path: Path
) -> None:
    intruder = "<script>document.title='owned'</script><style>body{display:none}</style><img src='x.png'>"
    (tmp_path / "index.html").write_bytes(page(picture).replace(b"</main>", f"{intruder}</main>".encode()))
    (tmp_path / "x.png").write_bytes(b"")
    with serving(tmp_path) as site:
        browser.screen(1280)
        browser.open(site.address)
        assert browser.run("return document.title") == picture.title
        assert browser.run("return getComputedStyle(document.body).display") == "block"
        assert site.asked == ["/"]
    complaints = browser.complaints()
    assert sum("Content Security Policy" in text for text in complaints) == 3


class Outline(HTMLParser):
    """The attributes of each element, and that each is closed."""

    def __init__(self, document: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(document.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_its_form_serves_those_who_hear_it(picture: Picture) -> None:
    document = page(picture)
    assert document.startswith(b'<!DOCTYPE html>\n<html lang="en">')
    outline = Outline(document)
    assert outline.open == []
    tags = [tag for tag, _ in outline.found]
    assert tags.count("h1") == tags.count("main") == tags.count("title") == 1
    assert tags.count("caption") == tags.count("table") == 6
    assert all(attributes.get("scope") in {"row", "col"} for tag, attributes in outline.found if tag == "th")
    ids = [attributes["id"] for _, attributes in outline.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["aria-labelledby"] for tag, attributes in outline.found if tag == "section"} < set(ids)
    for tag, attributes in outline.found:
        for name in ("href", "src"):
            target = attributes.get(name)
            assert target is None or target == "data:," or urljoin("http://here/", target).startswith("http://here/")
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag


def test_an_authority_without_hierarchies_and_lists_has_a_page_too(picture: Picture) -> None:
    empty = dataclasses.replace(picture, titles={}, authorities=(), lists=(), links=(), issued=(), standing={})
    assert Outline(page(empty)).open == []
    no_lists = page(dataclasses.replace(picture, lists=()))
    assert no_lists.count(b"No revocation list is published yet.") == 3


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "ended"), (0, "0 min"), (59, "0 min"), (60, "1 min"), (3599, "59 min"), (3600, "1 h 0 min"),
        (172_799, "47 h 59 min"), (172_800, "2 days"), (63_113_903, "730 days"), (63_113_904, "2 years"),
    ],
)  # fmt: skip
def test_time_left_is_told_in_few_words(seconds: int, words: str) -> None:
    assert left(NOW + timedelta(seconds=seconds), NOW) == words


def test_json_and_page_tell_the_same(issued: Path, picture: Picture) -> None:
    index = json.loads((issued / "published" / "index.json").read_bytes())
    assert [row["name"] for row in index["authorities"]] == [item.name for item in picture.authorities]
    assert [row["number"] for row in index["lists"]] == [item.number for item in picture.lists]
