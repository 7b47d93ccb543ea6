"""How the page looks, and the few lines of script that keep its remaining times true. The page is whole without."""

import base64
import hashlib

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #f6f7f9; --card: #ffffff; --ink: #16202c; --soft: #51606f; --line: #d9dfe6; --accent: #0b5c8a;
  --good: #17663a; --good-back: #e2f3e8; --soon: #7a4a00; --soon-back: #fdf0d5; --over: #a01722; --over-back: #fde4e4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #10161d; --card: #18212b; --ink: #e6ebf0; --soft: #a3b1bf; --line: #2e3b48; --accent: #7cc4f0;
    --good: #8fdcae; --good-back: #143325; --soon: #f3c778; --soon-back: #3a2c10;
    --over: #ff9ea4; --over-back: #451a1f;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
main, header, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; text-wrap: balance; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 0 0 .25rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
  padding: 1.25rem 1.25rem 1rem; margin: 1.5rem 0; }
p { margin: .25rem 0 .75rem; max-width: 65ch; }
.soft { color: var(--soft); }
a { color: var(--accent); text-underline-offset: .15em; }
a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: .2rem; }
.facts { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; margin: 1.25rem 0 0; padding: 0; }
.facts div { display: flex; flex-direction: column-reverse; }
.facts dt { color: var(--soft); font-size: .85rem; }
.facts dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 .5rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .35rem; }
th, td { text-align: left; vertical-align: baseline; padding: .45rem 1.25rem .45rem 0; }
thead th { color: var(--soft); font-size: .8rem; font-weight: 600; border-bottom: 1px solid var(--line); }
thead th:first-child { width: 15rem; }
tbody tr + tr > * { border-top: 1px solid var(--line); }
th[scope=row] { font-weight: 600; }
th.number, td.number { text-align: right; }
.child th[scope=row]::before { content: "\\2514\\00a0" / ""; color: var(--soft); font-weight: 400; }
time, .word { white-space: nowrap; }
code { font: .875em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
td code { overflow-wrap: anywhere; }
pre { margin: .5rem 0 1rem; padding: .75rem 1rem; background: var(--paper); border: 1px solid var(--line);
  border-radius: .5rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.left { display: inline-block; padding: .05rem .55rem; border-radius: 1rem; white-space: nowrap; font-size: .9rem;
  color: var(--good); background: var(--good-back); }
.left.soon { color: var(--soon); background: var(--soon-back); }
.left.over { color: var(--over); background: var(--over-back); font-weight: 600; }
.files { list-style: none; margin: .5rem 0; padding: 0; display: grid; gap: .25rem 2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); }
footer { padding-bottom: 2.5rem; font-size: .9rem; }
@media (max-width: 60rem) {
  table, caption, tbody, tr, th, td { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tbody tr { border-top: 1px solid var(--line); padding: .6rem 0; }
  tbody tr + tr > * { border-top: 0; }
  th, td, td.number { padding: .1rem 0; text-align: left; }
  td { display: flex; flex-wrap: wrap; gap: 0 .75rem; }
  td::before { content: attr(data-label) / ""; flex: 0 0 6.5rem; color: var(--soft); font-size: .85rem; }
  .child th[scope=row]::before { content: none; }
}
@media (max-width: 30rem) {
  main, header, footer { padding: 0 .75rem; }
  header { padding-top: 1.5rem; }
  h1 { font-size: 1.6rem; }
  section { padding: 1rem .9rem .75rem; }
  td { font-size: .92rem; gap: 0 .5rem; }
  td::before { flex-basis: 5.9rem; font-size: .8rem; }
}
@media print {
  body { background: none; }
  section { break-inside: avoid; }
}
"""

SCRIPT = """
"use strict";
(() => {
  const words = (seconds) => {
    if (seconds >= 63113904) return `${Math.floor(seconds / 31556952)} years`;
    if (seconds >= 172800) return `${Math.floor(seconds / 86400)} days`;
    const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds % 3600 / 60);
    return hours ? `${hours} h ${minutes} min` : `${minutes} min`;
  };
  const refresh = () => {
    for (const mark of document.querySelectorAll("[data-until]")) {
      const seconds = Math.floor((Date.parse(mark.dataset.until) - Date.now()) / 1000);
      mark.textContent = seconds < 0 ? mark.dataset.ended : words(seconds);
      mark.className = seconds < 0 ? "left over" : seconds < Number(mark.dataset.soon) ? "left soon" : "left";
    }
    document.getElementById("as-of").textContent = "now, by your clock";
  };
  refresh();
  setInterval(refresh, 30000);
})();
"""


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_source(STYLE)}",
        f"script-src {_source(SCRIPT)}",
        "img-src data:",  # the empty icon: without one a browser asks the server for /favicon.ico
        "base-uri 'none'",
        "form-action 'none'",
    )
)
