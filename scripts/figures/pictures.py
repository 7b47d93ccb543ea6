"""Which figures are drawn: every ratio that a bench put into the picture, and how flat growth is."""

from collections.abc import Iterator, Mapping
from typing import Any

from scripts.figures.plot import Bar, Line, Panel, bars, lines

_ORDER = ("issue", "message", "broker", "crl", "ocsp")


def pictures(figures: Mapping[str, Any]) -> dict[str, str]:
    """Files of docs/figures, and what they must hold; none of what nobody measured."""
    found = {}
    names = sorted(figures, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    drawn = [one for name in names for one in _rows(figures[name])]
    if drawn:
        measured = next(figures[name]["measured"] for name in names if any(_rows(figures[name])))
        panels = [
            Panel(
                "Share of what the arithmetic allows, or of an empty store (red line: the aim)",
                _bars(drawn, beside=False),
            ),
            Panel("Times as fast as others", _bars(drawn, beside=True), by_powers=True),
        ]
        title = "Measured against the bound in the same run"
        found["bench.svg"] = bars(title, [panel for panel in panels if panel.bars], _foot(measured))
    stored = list(figures.get("issue", {}).get("stored", {}).values())
    if stored:
        found["growth.svg"] = lines(
            "Growth with what is stored: 1 is as fast as with an empty store",
            [f"{one['stored']:,} stored" for one in stored],
            [
                Line("issue device certificates (share of the bound)", [one["flat"]["ratio"] for one in stored]),
                Line("look a certificate up by EUI-64", [one["look_up"]["ratio"] for one in stored]),
            ],
            _foot(figures["issue"]["measured"]),
        )
    return found


def _rows(found: Any) -> Iterator[Mapping[str, Any]]:
    """Every row that has words for its bar, however deep it stands."""
    if isinstance(found, Mapping):
        if found.get("bar"):
            yield found
        else:
            for one in found.values():
                yield from _rows(one)


def _bars(rows: list[Mapping[str, Any]], *, beside: bool) -> list[Bar]:
    return [Bar(row["bar"], row["ratio"], row["aim"]) for row in rows if row["beside"] == beside]


def _foot(measured: Mapping[str, Any]) -> str:
    return (
        f"{measured['processor']}, {measured['cores']} cores, OpenSSL {measured['openssl']}, SoftHSM"
        f" {measured['softhsm']}, Python {measured['python']}; {measured['date']}"
    )
