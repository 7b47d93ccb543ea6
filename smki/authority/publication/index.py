"""index.json and feed.atom: what is published, for programs."""

import hashlib
import json
import uuid
from typing import Any
from xml.etree import ElementTree as ET

from smki.authority.publication.lists import PublishedList, file_name
from smki.authority.publication.picture import Issued, Picture, PublishedAuthority
from smki.words import counted, utc

FORM = "smki-published/1"
ATOM = "http://www.w3.org/2005/Atom"
TRUST_ALL = "trust/authorities.pem"


def index(picture: Picture) -> bytes:
    """The page for programs: docs/published-folder.md lists every key."""
    fields = {
        "form": FORM,
        "title": picture.title,
        "environment": picture.environment,
        "workspace": picture.checkpoint.origin,
        "made_at": utc(picture.made_at),
        "log": {"size": picture.checkpoint.size, "root": picture.checkpoint.root.hex()},
        "hierarchies": [
            {"name": name, "title": title, "trust": f"trust/{name}.pem"} for name, title in picture.titles.items()
        ],
        "trust": TRUST_ALL,
        "authorities": [_authority(item) for item in picture.authorities],
        "links": [_certificate(link.file, link.der) for link in picture.links],
        "lists": [_list(item) for item in picture.lists],
    }
    return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()


def _authority(item: PublishedAuthority) -> dict[str, Any]:
    return {
        "name": item.name,
        "hierarchy": item.hierarchy,
        "tier": item.tier,
        "issuing": item.issuing,
        "issuer": item.issuer,
        "subject": item.subject,
        "serial": item.serial,
        "key_identifier": item.key_identifier,
        "not_before": utc(item.not_before),
        "not_after": utc(item.not_after),
        "status": item.status.value,
        **_certificate(item.file, item.der),
    }


def _certificate(file: str, der: bytes) -> dict[str, Any]:
    return {"pem": f"{file}.pem", "der": f"{file}.cer", "sha256": hashlib.sha256(der).hexdigest()}


def _list(item: PublishedList) -> dict[str, Any]:
    return {
        "authority": item.name,
        "hierarchy": item.hierarchy,
        "tier": item.tier,
        "kind": item.kind,
        "number": item.number,
        "this_update": utc(item.this_update),
        "next_update": utc(item.next_update),
        "entries": item.entries,
        "size": item.size,
        "pem": item.text_file,
        "der": item.file,
        "sha256": item.sha256.hex(),
    }


def feed(picture: Picture) -> bytes:
    """The lists as they were issued, the newest first (RFC 4287). An entry's identity never changes."""
    name = uuid.UUID(bytes=picture.workspace_id)
    newest = picture.issued[0].record.this_update if picture.issued else picture.made_at
    top = ET.Element("feed", {"xmlns": ATOM, "xml:lang": "en"})
    _text(top, "id", name.urn)
    _text(top, "title", f"Revocation lists: {picture.title}")
    _text(top, "updated", utc(newest))
    _text(ET.SubElement(top, "author"), "name", picture.checkpoint.origin)
    ET.SubElement(top, "link", {"rel": "self", "type": "application/atom+xml", "href": "feed.atom"})
    ET.SubElement(top, "link", {"rel": "alternate", "type": "text/html", "href": "index.html"})
    for item in picture.issued:
        top.append(_entry(item, name))
    ET.indent(top)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(top, encoding="unicode")}\n'.encode()


def _entry(item: Issued, workspace: uuid.UUID) -> ET.Element:
    record = item.record
    assert record.sha256 is not None, "only lists that were made are told"
    kind = "complete" if record.base is None else f"delta to {record.base}"
    entries = counted(record.entries, "entry", "entries")
    entry = ET.Element("entry")
    _text(entry, "id", uuid.uuid5(workspace, f"{item.authority}/{record.number}").urn)
    _text(entry, "title", f"{item.authority}: list {record.number} ({kind}), {entries}")
    _text(entry, "updated", utc(record.this_update))
    # The newest of its kind stands there; of an older one the digest remains.
    href = file_name(item.authority, delta=record.base is not None)
    ET.SubElement(entry, "link", {"rel": "alternate", "type": "application/pkix-crl", "href": href})
    ET.SubElement(entry, "category", {"term": "complete" if record.base is None else "delta"})
    _text(
        entry,
        "summary",
        f"List {record.number} of {item.authority}, {kind}: {entries},"
        f" {record.size:,} octets,"
        f" next update {utc(record.next_update)}, SHA-256 {record.sha256.hex()}",
    )
    return entry


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text
