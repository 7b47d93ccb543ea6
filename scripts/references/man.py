"""docs/man: a manual page for `smki` and one for each noun, in the macros of man(7). They bear no date: the same
commands give the same octets."""

import re
import tomllib
from collections.abc import Iterator

from scripts.references.sources import ROOT
from scripts.references.tree import ENVIRONMENT, EXIT_CODES, TASKS, TOP, Member, option_facts, option_words

_FILES = (
    ("smki.toml", "what a workspace works with: store, tokens, where PINs come from"),
    ("policies/", "what the authority promises, as data"),
    ("ceremonies/", "key ceremonies to be reviewed, approved and run"),
    ("published/", "what everyone may read: certificates, lists, the log's checkpoints"),
    ("anchors/, crls/", "of a service user: authorities it believes, and their lists"),
    ("pins/", "PINs of tokens, for their owner's eyes alone"),
)
_MANUAL = "SMKI manual"


def pages() -> dict[str, str]:
    """Every manual page by its file's name."""
    return {"smki.1": _top()} | {f"smki-{one.path[0]}.1": _noun(one) for one in TOP.members}


def _top() -> str:
    about = TOP.paragraphs[0]
    lines = [_title("smki"), ".SH NAME", f"smki \\- {_text(about.rstrip('.'))}", ".SH SYNOPSIS"]
    lines += [r"\fBsmki\fR [\fB\-\-home\fR \fIDIR\fR] \fICOMMAND\fR \fIARGUMENTS\fR...", ".SH DESCRIPTION"]
    lines += [_text(about), ".PP", _text("Commands are grouped by noun; each noun has a manual page of its own.")]
    by_name = {one.path[0]: one for one in TOP.members}
    for task, nouns in TASKS.items():
        lines.append(f".SS {_text(task)}")
        for noun in nouns:
            lines += [".TP", rf"\fBsmki\-{_text(noun)}\fR(1)", _text(by_name[noun].paragraphs[0])]
    lines += [".SH OPTIONS", *_options(TOP), *list(_options_of_all())[3:], *_ending()]
    lines += [".SH EXAMPLES", *_example(TOP), *_see_also(sorted(by_name))]
    return "\n".join(lines) + "\n"


def _noun(noun: Member) -> str:
    first, *rest = noun.paragraphs
    lines = [
        _title(f"smki-{noun.path[0]}"),
        ".SH NAME",
        rf"smki\-{_text(noun.path[0])} \- {_text(first.rstrip('.'))}",
    ]
    leaves = [one for one in noun.walk() if not one.members]
    lines.append(".SH SYNOPSIS")
    for number, one in enumerate(leaves):
        lines += [*([".br"] if number else []), _synopsis(one)]
    lines += [".SH DESCRIPTION", _text(first), *(line for part in rest for line in (".PP", _text(part)))]
    if noun.members:
        lines += [line for one in leaves for line in _command(one)]
    lines += [
        ".SH OPTIONS",
        *([] if noun.members else _options(noun)),
        *_options_of_all(),
        *_ending(),
        ".SH EXAMPLES",
    ]
    lines += [line for one in leaves for line in _example(one)]
    return "\n".join([*lines, *_see_also([])]) + "\n"


def _title(name: str) -> str:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    head = '.\\" Written by scripts/reference from the commands themselves.\n'
    return f'{head}.TH {_text(name.upper())} 1 "" "smki {version}" "{_MANUAL}"\n.nh\n.ad l'


def _synopsis(one: Member) -> str:
    words = [rf"\fI{_text(piece)}\fR" for piece in one.command.collect_usage_pieces(one.context)]
    return " ".join([rf"\fB{_text(one.name)}\fR", *words])


def _command(one: Member) -> Iterator[str]:
    yield f".SS {_text(one.name)}"
    yield from (
        line for number, part in enumerate(one.paragraphs) for line in ([".PP"] if number else []) + [_text(part)]
    )
    yield from _options(one)


def _options(one: Member) -> Iterator[str]:
    for option in one.options:
        facts = "; ".join(option_facts(option)).replace("`", "")
        told = f"{(option.help or '').rstrip('.')}{f' ({facts})' if facts else ''}."
        yield from (".TP", rf"\fB{_text(option_words(option))}\fR", _text(told))


def _options_of_all() -> Iterator[str]:
    yield from (".TP", r"\fB\-\-home\fR \fIDIR\fR", "The workspace; it stands right after \\fBsmki\\fR.")
    yield from (".TP", r"\fB\-h\fR, \fB\-\-help\fR", "Show help and leave.")


def _ending() -> Iterator[str]:
    """What holds for every command."""
    yield ".SH EXIT STATUS"
    for code, words in EXIT_CODES:
        yield from (".TP", f".B {code}", _text(f"{words[0].upper()}{words[1:]}."))
    yield ".SH ENVIRONMENT"
    for name, words in ENVIRONMENT:
        yield from (".TP", f".B {name}", _text(f"{words[0].upper()}{words[1:]}.".replace("`", "")))
    yield ".SH FILES"
    yield _text("Below the workspace:")
    for name, words in _FILES:
        yield from (".TP", f".I {_text(name)}", _text(f"{words[0].upper()}{words[1:]}."))


def _example(one: Member) -> Iterator[str]:
    if one.example:
        yield from (".PP", ".nf", ".RS 4", _text(one.example), ".RE", ".fi")


def _see_also(nouns: list[str]) -> Iterator[str]:
    others = [rf"\fBsmki\-{_text(noun)}\fR(1)" for noun in nouns] or [r"\fBsmki\fR(1)"]
    yield ".SH SEE ALSO"
    yield ", ".join(others)
    yield ".PP"
    yield _text("The folder docs/ of the source: what each noun is for, every file, every error.")


def _text(words: str) -> str:
    """As roff has it: no line begins with a control character, a hyphen is what one types."""
    safe = " ".join(words.split()).replace("\\", r"\e").replace("-", r"\-").replace("`", "").replace("'", r"\(aq")
    safe = re.sub(r"[^\x00-\x7f]", lambda match: f"\\[u{ord(match[0]):04X}]", safe)
    return rf"\&{safe}" if safe.startswith((".", "'")) else safe
