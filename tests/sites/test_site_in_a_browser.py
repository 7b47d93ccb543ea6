"""The site as a reader has it: opened from a folder without a server, searched, on a desk and on a phone."""

import time
from pathlib import Path

import pytest

from scripts.sites.build import build
from scripts.sites.sources import ROOT, collect
from tests.authority.publication.browser import browsing, why_not

_WIDE = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
_TYPE = """
const field = document.querySelector("input[type=search]");
field.value = arguments[0];
field.dispatchEvent(new Event("input"));
"""
_FOUND = 'return [...document.querySelectorAll("#found a")].map((link) => [link.textContent, link.href])'


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.slow(8)
def test_a_reader_finds_the_way(tmp_path: Path) -> None:
    build(collect(ROOT), ROOT, tmp_path / "site")
    page = (tmp_path / "site").as_uri()
    with browsing(tmp_path / "profile") as browser:
        for width, scheme in ((1280, "light"), (400, "dark")):
            browser.screen(width, scheme=scheme)
            for path in (
                "index.html",
                "docs/reference/policies.html",
                "docs/estate.html",
                "docs/man/smki-hsm.1.html",
            ):
                browser.open(f"{page}/{path}")
                assert browser.run(_WIDE) <= 0, f"{path} is wider than {width}"
        browser.open(f"{page}/docs/estate.html")
        browser.run(_TYPE, "hsm.pin-locked")
        found: list[list[str]] = []
        for _ in range(100):
            if found := browser.run(_FOUND):
                break
            time.sleep(0.05)
        assert found[0] == ["hsm.pin-locked", f"{page}/docs/reference/errors.html#hsmpin-locked"]
        browser.open(found[0][1])
        assert browser.run('return document.querySelector(":target").textContent') == "hsm.pin-locked"
        browser.run(_TYPE, "no such word anywhere")
        assert browser.run("return document.getElementById('documents').hidden") is True
        assert browser.complaints() == []
