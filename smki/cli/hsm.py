"""`smki hsm`: which HSMs and tokens there are, and whether they can do what is asked of them."""

from typing import TYPE_CHECKING, Any

import click

from smki.cli.render import emit, fields, json_option, table
from smki.cli.session import Session, pass_session
from smki.errors import Unavailable

if TYPE_CHECKING:
    from smki.hsm.module import TokenInfo

_token = click.argument("token", metavar="TOKEN")


@click.group("hsm", epilog="Example: smki hsm check oca-issuing")
def command() -> None:
    """See HSMs and tokens, and test what they can do."""


@command.command("list", epilog="Example: smki hsm list --json")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the tokens this workspace names: where each is, and whether it is present."""
    workspace = session.workspace
    rows = []
    for name, ref in workspace.tokens.items():
        try:
            info = workspace.hsm.find(ref)
            state = "away" if info is None else "present"
        except Unavailable as error:
            info, state = None, f"unknown: {error.message}"
        known = workspace.store.token(name)
        serial = info.serial if info else known.serial if known else ""
        rows.append({"token": name, "hsm": ref.hsm, "state": state, "serial": serial, "sessions_free": _free(info)})
    emit(
        {"tokens": rows},
        as_json,
        lambda: table(
            ["Token", "HSM", "State", "Serial number", "Free sessions"],
            [(r["token"], r["hsm"], r["state"], r["serial"], r["sessions_free"]) for r in rows],
        ),
    )


def _free(info: "TokenInfo | None") -> str:
    if info is None:
        return ""
    if info.sessions_max is None:
        return "no limit"
    return str(info.sessions_max - (info.sessions or 0))


@command.command("info", epilog="Example: smki hsm info oca-root")
@_token
@json_option
@pass_session
def info(session: Session, token: str, as_json: bool) -> None:
    """Show one token: what it is, its mechanisms, and what its kind of HSM is described as."""
    workspace = session.workspace
    ref = workspace.token_ref(token)
    found = workspace.hsm.find(ref)
    description = workspace.hsm.description(ref.hsm)
    if found is None:
        raise Unavailable("hsm.unavailable", f"token {token} is not present", "bring it back; see `smki hsm list`")
    data: dict[str, Any] = {
        "token": token,
        "label": found.label,
        "serial": found.serial,
        "model": found.model,
        "manufacturer": found.manufacturer,
        "pin": found.pin_state,
        "sessions_free": _free(found),
        "folder": found.folder,
        "hsm": ref.hsm,
        "title": description.title,
        "mechanisms": workspace.hsm.mechanism_names(ref),
        "notes": description.notes.strip(),
    }
    emit(data, as_json, lambda: fields((key, _plain(value)) for key, value in data.items() if value))


def _plain(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


@command.command("check", epilog="Example: smki hsm check oca-issuing")
@_token
@json_option
@pass_session
def check(session: Session, token: str, as_json: bool) -> int:
    """Test whether TOKEN can do what SMKI needs, and say what falls back to what; leaves nothing behind."""
    from smki.hsm.selftest import self_test

    workspace = session.workspace
    found = self_test(workspace.open_token(token), workspace.hsm.mechanisms(workspace.token_ref(token)))
    words = {"ok": "yes", "fallback": "other means", "missing": "NO"}
    emit(
        {"findings": [{"check": f.check, "outcome": f.outcome, "words": f.words} for f in found]},
        as_json,
        lambda: table(["Needed", "Can it?", "How"], [(f.check, words[f.outcome], f.words) for f in found]),
    )
    return 1 if any(f.outcome == "missing" for f in found) else 0
