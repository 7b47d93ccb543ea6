"""docs/reference/commands.md: every command by what one wants to do, from the commands themselves."""

from scripts.references.shapes import shape_of
from scripts.references.tree import ENVIRONMENT, EXIT_CODES, TASKS, TOP, Member, option_facts, option_words

_HEAD = """# Commands

Written by `scripts/reference` from the commands themselves. The same as manual pages: [smki(1)](../man/smki.1).
What holds for all of them is told [in a page of its own](../terminal.md): help, the Tab key, workspaces, programs.

`--home DIR` before the command, or `SMKI_HOME`, names the workspace; without either it is the one we stand in. What
is wrong is told on standard error in two lines, `error:` with [a code](errors.md) and `hint:` with what to do; what
was asked for is printed on standard output.

With `--json` a command prints one JSON document instead of words. Its keys are stable: none is taken away, or changes
its meaning, within a major version, and others may come. Octets are lower-case hexadecimal, times UTC ISO 8601, what
does not apply is `null`. The keys of each command stand beneath it: `[...]` is a list, `NAME` stands for keys that
are names themselves, and `...` for what depends on what is shown.
"""


def page() -> str:
    """The whole page."""
    by_name = {one.path[0]: one for one in TOP.members}
    parts = [_HEAD, _table("exit code", [(str(code), words) for code, words in EXIT_CODES])]
    parts += [_table("variable", [(f"`{name}`", words) for name, words in ENVIRONMENT]), "## Contents\n"]
    for task, nouns in TASKS.items():
        listed = "; ".join(_contents(by_name[noun]) for noun in nouns)
        parts.append(f"- **[{task}](#{task.lower().replace(' ', '-')})**: {listed}")
    parts.append("")
    for task, nouns in TASKS.items():
        parts.append(f"## {task}\n")
        parts += [_describe(member) for noun in nouns for member in by_name[noun].walk()]
    return "\n".join(parts).rstrip("\n") + "\n"


def _table(what: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"| {what} | means |", "|---|---|", *(f"| {left} | {right} |" for left, right in rows)]
    return "\n".join(lines) + "\n"


def anchor(member: Member) -> str:
    return "-".join(("smki", *member.path))


def _contents(member: Member) -> str:
    inner = ", ".join(f"[{one.path[-1]}](#{anchor(one)})" for one in member.members)
    return f"[{member.path[0]}](#{anchor(member)}){f' ({inner})' if inner else ''}"


def _describe(member: Member) -> str:
    depth = "###" if len(member.path) == 1 else "####"
    lines = [f"{depth} {member.name}", "", *_paragraphs(member)]
    if member.members:
        for one in member.members:
            first = one.paragraphs[0].split("; ")[0] if one.paragraphs else ""
            lines.append(f"- [{one.name}](#{anchor(one)}): {first}")
        lines.append("")
        return "\n".join(lines)
    lines += ["```text", member.usage, "```", ""]
    options = [one for one in member.options if one.name != "as_json"]
    if options:
        lines += ["| option | means |", "|---|---|"]
        for option in options:
            facts = "; ".join(option_facts(option))
            told = f"{(option.help or '').rstrip('.')}{f' ({facts})' if facts else ''}."
            name, told = (text.replace("|", "\\|") for text in (option_words(option), told))
            lines.append(f"| `{name}` | {told} |")
        lines.append("")
    lines += [f"Example: `{member.example}`", ""]
    if any(one.name == "as_json" for one in member.options):
        lines += [f"With `--json`: {shape_of(member)}", ""]
    return "\n".join(lines)


def _paragraphs(member: Member) -> list[str]:
    return [line for part in member.paragraphs for line in (part, "")]
