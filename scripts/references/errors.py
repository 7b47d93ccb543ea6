"""docs/reference/errors.md: every code, with its words and what to do, family by family."""

from collections.abc import Iterator

from scripts.references.codes import Told, all_codes
from scripts.references.wording import VARIES
from smki.pki.lint import _RULES

_HEAD = f"""# Errors

Written by `scripts/reference` from the source: every code that is raised, or told of one thing among many, with what
it says and what to do. `{VARIES}` stands for what differs from case to case. Codes are stable; their words may become
clearer.

An error ends a command with the exit status named here; on standard error stand `error: WHAT [CODE]` and `hint: WHAT
TO DO`. What is *told* is a finding, a verdict or an alarm: a value beside others, in tables, reports and JSON, whose
command ends as [Commands](commands.md) says. Anything else, `[internal]` with exit status 70, is a defect of ours.
"""
_LINT_REMEDY = "correct the profile or the ceremony"
_CAUSE = "what its cause says, which it passes on"
_FAMILIES = {  # whose name does not say what it is about
    "crew": "worker processes of an issuing run",
    "entity": "EUI-64s",
    "find": "what certificates are looked for by",
    "gbcs": "messages, their encoding and encryption",
    "home": "a household of simulated devices",
    "intake": "files taken in",
    "policy": "files in policies/",
    "receive": "verdicts of a device on a command, in the order of its checks",
    "restore": "what a backup does not know and the world does",
    "role": "roles of organisations",
    "san": "names of devices in requests",
    "smki": "findings of our own linter on a certificate",
    "settings": "any TOML file, read strictly",
    "sign": "verdicts on a command that is to be signed",
    "broker": "verdicts of the access control broker, and its files",
    "cos": "verdicts on a change of supplier",
    "credentials": "verdicts on a replacement of credentials",
    "path": "verdicts on a certification path",
    "template": "certificates rendered from a template",
}


def page() -> str:
    """The whole page."""
    told = [*all_codes(), *_lint_rules()]
    families: dict[str, dict[str, list[Told]]] = {}
    for one in sorted(told, key=lambda one: (one.code, one.status or 0, one.module)):
        families.setdefault(one.code.partition(".")[0], {}).setdefault(one.code, []).append(one)
    codes = sum(len(family) for family in families.values())
    contents = [f"{codes} codes:", "", ", ".join(f"[{name}](#{name})" for name in families), ""]
    parts = [_HEAD, *contents]
    for name, family in families.items():
        parts += [f"## {name}", "", *([f"{_FAMILIES[name].capitalize()}.", ""] if name in _FAMILIES else [])]
        for code, places in family.items():
            parts += _of_code(code, places)
    return "\n".join(parts).rstrip("\n") + "\n"


def _of_code(code: str, places: list[Told]) -> Iterator[str]:
    ends = sorted({f"exit {one.status}" for one in places if one.status is not None})
    how = [*ends, *(["told"] if any(one.status is None for one in places) else [])]
    modules = ", ".join(f"`{name}`" for name in sorted({one.module for one in places}))
    yield from (f"### {code}", "", f"{', '.join(how).capitalize()}. {modules}", "")
    rows = dict.fromkeys((one.message or VARIES, one.remedy) for one in places)
    for message, remedy in rows:
        yield f"- {_plain(message)} → {_plain(remedy) if remedy != VARIES else _CAUSE}"
    yield ""


def _plain(text: str) -> str:
    """As a line of Markdown that shows what is there, our own `code` included."""
    text = " ".join(text.split())
    return "`".join(
        part if number % 2 else part.replace("\\", "\\\\").replace("*", "\\*").replace("<", "\\<").replace("[", "\\[")
        for number, part in enumerate(text.split("`"))
    )


def _lint_rules() -> Iterator[Told]:
    """Our linter's rules are rows of a table."""
    for code, clause, rule in _RULES:
        about = f"{rule.__name__.strip('_').replace('_', ' ')} ({clause})"
        yield Told(f"smki.{code}", None, f"{VARIES}: {about}", _LINT_REMEDY, "smki/pki/lint.py")
