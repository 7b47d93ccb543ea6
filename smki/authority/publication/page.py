"""index.html: what is published, for people. Whole without JavaScript, and nothing is fetched from anywhere.

It is built as a tree of elements and written out once, so that no name can become anything but text.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from xml.etree import ElementTree as ET

from smki.authority.publication.lists import PublishedList
from smki.authority.publication.look import CONTENT_SECURITY_POLICY, SCRIPT, STYLE
from smki.authority.publication.picture import Picture, PublishedAuthority, left
from smki.pki.status import Status
from smki.words import utc

_DAY = 86_400
_SOON_CERTIFICATE = 90 * _DAY
_SOON_LIST = 4  # less than a quarter of its life left: the next is late
_LINED = {"meta", "link", "title", "style", "script", "head", "header", "section", "table", "caption", "thead"}
_LINED |= {"tbody", "tr", "p", "h1", "h2", "dl", "div", "ul", "li", "pre", "main", "footer", "body"}

_MACHINES = (
    ("index.json", "this page for programs"),
    ("feed.atom", "a feed with an entry for each list"),
    ("SHA256SUMS", "the digest of every file"),
    ("manifest", "the same and more, signed by the audit key"),
    ("audit/checkpoint", "the audit log's size and root, signed"),
    ("audit/verifier-key", "the audit key; compare it with one you got another way"),
    ("trust/authorities.pem", "every authority in force"),
)
_CHECKS = """\
sha256sum --check --quiet SHA256SUMS
openssl crl -inform DER -noout -CAfile trust/authorities.pem -in {list}
smki ca verify-published . --key VERIFIER-KEY"""


def page(picture: Picture) -> bytes:
    """The whole document."""
    html = _of(
        "html",
        _head(picture),
        _of(
            "body",
            _header(picture),
            _of("main", *(_hierarchy(picture, name) for name in picture.titles), _checking(picture), _files(picture)),
            _footer(picture),
            _of("script", SCRIPT),
        ),
        lang="en",
    )
    text = ET.tostring(html, encoding="unicode", method="html")
    return f"<!DOCTYPE html>\n{text}\n".encode()


def _of(tag: str, *parts: "ET.Element | str", **attributes: str) -> ET.Element:
    """An element; `class_` and `data_label` are the attributes class and data-label."""
    names = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value}
    made = ET.Element(tag, names)
    for part in parts:
        if not isinstance(part, str):
            made.append(part)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + part
        else:
            made.text = (made.text or "") + part
    if tag in _LINED:
        made.tail = "\n"
    return made


def _head(picture: Picture) -> ET.Element:
    return _of(
        "head",
        # First: it must stand before whatever it speaks of.
        _of("meta", http_equiv="Content-Security-Policy", content=CONTENT_SECURITY_POLICY),
        _of("meta", charset="utf-8"),
        _of("meta", name="viewport", content="width=device-width, initial-scale=1"),
        _of("meta", name="referrer", content="no-referrer"),
        _of("title", picture.title),
        _of("link", rel="icon", href="data:,"),
        _of("link", rel="alternate", type="application/atom+xml", href="feed.atom", title="Lists as they are issued"),
        _of("link", rel="alternate", type="application/json", href="index.json"),
        _of("style", STYLE),
    )


def _header(picture: Picture) -> ET.Element:
    facts = (
        ("authorities", len(picture.authorities)),
        ("revocation lists", len(picture.lists)),
        ("certificates revoked", sum(listed.revocations for listed in picture.standing.values())),
        ("entries in the audit log", picture.checkpoint.size),
    )
    return _of(
        "header",
        _of("h1", picture.title),
        _of(
            "p",
            "The certificates of its authorities, and the lists of certificates they revoked. Made ",
            _time(picture.made_at), "; times left are as of ", _of("span", "then", id="as-of"), ".",
            class_="soft",
        ),
        _of(
            "dl",
            *(_of("div", _of("dt", name), _of("dd", f"{count:,}")) for name, count in facts),
            class_="facts",
        ),
    )  # fmt: skip


def _hierarchy(picture: Picture, name: str) -> ET.Element:
    lists = [item for item in picture.lists if item.hierarchy == name]
    heading = f"hierarchy-{name}"
    return _of(
        "section",
        _of("h2", picture.titles[name], id=heading),
        _of(
            "p", "Hierarchy ", _of("code", name), "; all of its authorities in force: ", _link(f"trust/{name}.pem"),
            class_="soft",
        ),
        _table(
            "Authorities",
            ("Name", "Role", "Key identifier", "Valid until", "Left", "Certificate"),
            (_authority_row(item, picture.made_at) for item in picture.authorities if item.hierarchy == name),
        ),
        *([_lists_table(lists, picture.made_at)] if lists else [_of("p", "No revocation list is published yet.")]),
        aria_labelledby=heading,
    )  # fmt: skip


def _lists_table(lists: Iterable[PublishedList], now: datetime) -> ET.Element:
    return _table(
        "Revocation lists",
        ("List", "Number", "Entries", "This update", "Next update", "Left", "File"),
        (_list_row(item, now) for item in lists),
    )


def _table(caption: str, columns: Sequence[str], rows: Iterable[tuple[str, list[ET.Element]]]) -> ET.Element:
    """Roles are said again, because a narrow screen shows rows as cards and some readers then forget the table."""
    heads = [_of("th", name, scope="col", role="columnheader", class_=_class(name)) for name in columns]
    return _of(
        "table",
        _of("caption", caption),
        _of("thead", _of("tr", *heads, role="row"), role="rowgroup"),
        _of("tbody", *(_row(columns, kind, cells) for kind, cells in rows), role="rowgroup"),
        role="table",
    )


def _row(columns: Sequence[str], kind: str, cells: list[ET.Element]) -> ET.Element:
    for column, cell in zip(columns, cells, strict=True):
        cell.set("role", "rowheader" if cell.tag == "th" else "cell")
        if cell.tag == "td":
            cell.set("data-label", column)
            if _class(column):
                cell.set("class", _class(column))
    return _of("tr", *cells, role="row", class_=kind)


def _class(column: str) -> str:
    return "number" if column in {"Number", "Entries"} else ""


def _authority_row(item: PublishedAuthority, now: datetime) -> tuple[str, list[ET.Element]]:
    role = item.tier if item.issuing or item.tier == "root" else "issued before"
    if item.status is Status.REVOKED:
        remaining = _of("span", "revoked", class_="left over")
    else:
        remaining = _left(item.not_after, now, _SOON_CERTIFICATE, "expired")
    return "child" if item.issuer else "", [
        _of("th", item.name, scope="row"),
        _of("td", role),
        _of("td", _of("code", item.key_identifier)),
        _of("td", _time(item.not_after)),
        _of("td", remaining),
        _of("td", _of("span", *_both(item.file, item.name), class_="word")),
    ]


def _both(file: str, name: str) -> "Iterator[ET.Element | str]":
    yield _of("a", "PEM", href=f"{file}.pem", aria_label=f"Certificate of {name} as PEM")
    yield " · "
    yield _of("a", "DER", href=f"{file}.cer", aria_label=f"Certificate of {name} as DER")


def _list_row(item: PublishedList, now: datetime) -> tuple[str, list[ET.Element]]:
    soon = int((item.next_update - item.this_update).total_seconds()) // _SOON_LIST
    name = item.name if item.kind == "complete" else f"{item.name}, delta"
    told = f"List {item.number} of {name} as "
    files: list[ET.Element | str] = [_of("a", "DER", href=item.file, aria_label=f"{told}DER")]
    if item.text_file is not None:
        files = [_of("a", "PEM", href=item.text_file, aria_label=f"{told}PEM"), " · ", *files]
    return "child" if item.kind == "delta" else "", [
        _of("th", name, scope="row"),
        _of("td", f"{item.number}"),
        _of("td", f"{item.entries:,}"),
        _of("td", _time(item.this_update)),
        _of("td", _time(item.next_update)),
        _of("td", _left(item.next_update, now, soon, "lapsed")),
        _of("td", _of("span", *files, f", {_size(item.size)}", class_="word")),
    ]


def _left(until: datetime, now: datetime, soon: int, ended: str) -> ET.Element:
    over, near = until < now, (until - now).total_seconds() < soon
    return _of(
        "span",
        ended if over else left(until, now),
        class_="left over" if over else "left soon" if near else "left",
        data_until=utc(until),
        data_soon=str(soon),
        data_ended=ended,
    )


def _checking(picture: Picture) -> ET.Element:
    example = picture.lists[0].file if picture.lists else "crl/NAME.crl"
    return _of(
        "section",
        _of("h2", "Check it yourself", id="checking"),
        _of("p", "In a copy of this folder, with the audit log's verifier key got by another way than this:"),
        _of("pre", _of("code", _CHECKS.format(list=example))),
        aria_labelledby="checking",
    )


def _files(picture: Picture) -> ET.Element:
    items = [_of("li", _link(path), _of("span", f" – {what}", class_="soft")) for path, what in _MACHINES]
    items += [
        _of("li", _link(f"{link.file}.pem"), _of("span", " – from one root to the next", class_="soft"))
        for link in picture.links
    ]
    return _of(
        "section",
        _of("h2", "All the rest", id="files"),
        _of("ul", *items, class_="files"),
        aria_labelledby="files",
    )


def _footer(picture: Picture) -> ET.Element:
    return _of("footer", _of("p", "Log ", _of("code", picture.checkpoint.origin), class_="soft"))


def _link(path: str) -> ET.Element:
    return _of("a", path, href=path)


def _time(moment: datetime) -> ET.Element:
    return _of("time", moment.strftime("%Y-%m-%d %H:%M:%S UTC"), datetime=utc(moment))


def _size(octets: int) -> str:
    for unit, size in (("MB", 1_000_000), ("kB", 1000)):
        if octets >= size:
            return f"{octets / size:.1f} {unit}"
    return f"{octets} octets"
