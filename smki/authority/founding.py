"""Founding a workspace: folders, settings, store, tokens, the audit key. Done again, it fills in what is missing.

Nothing that exists is ever written over: a token once recorded is never made a second time, so a root token that
was taken away does not come back as an empty one.
"""

import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from smki.authority.anchors import FOLDER as ANCHORS
from smki.authority.log import act, adopt_policies, record_audit_key, seal
from smki.authority.safe_files import write_new
from smki.authority.workspace import SETTINGS, SHIPPED, Ask, Clock, Person, Workspace, WorkspaceKind
from smki.errors import Refused, Unavailable
from smki.hsm.pin import Pin
from smki.store.journal import MARK, refuse_loose
from smki.store.records import TokenRecord
from smki.store.store import Store

_SETTINGS_OF: dict[WorkspaceKind, str] = {"authority": "workspace.toml", "user": "workspace-user.toml"}
_FOLDERS = (("tokens", 0o700), ("pins", 0o700), ("published", 0o755))
PIN_OCTETS = 16
WORKSPACE_ID_OCTETS = 16
_SOFTHSM_CONF = """\
# SoftHSM for this workspace alone; SOFTHSM2_CONF points here whenever smki loads the module.
directories.tokendir = {tokens}
objectstore.backend = file
log.level = ERROR
slots.removable = false
"""


def found(
    home: Path,
    clock: Clock,
    ask: Ask,
    person: Person,
    kind: WorkspaceKind = "authority",
    journal: Path | None = None,
) -> Iterator[str]:
    """Make the workspace, or complete it; yield a line for each thing made. What exists keeps its kind."""
    home = home.absolute()
    if journal is not None:
        yield from _make_journal(home, journal.absolute())
    yield from _make_folders(home, _FOLDERS)
    workspace = Workspace(home, clock, ask, person)
    try:
        yield from _make_files(home, workspace.kind if (home / SETTINGS).exists() else kind, journal)
        if workspace.kind == "user":
            yield from _make_folders(home, ((ANCHORS, 0o700),))
        yield from _make_store(workspace)
        yield from _make_tokens(workspace)
        if record_audit_key(workspace):
            yield "audit key"
        if adopt_policies(workspace):
            yield "policies adopted"
        seal(workspace)
    finally:
        workspace.close()


def _make_folders(home: Path, folders: tuple[tuple[str, int], ...]) -> Iterator[str]:
    try:
        if not home.exists():
            home.mkdir(parents=True, mode=0o700)
            yield f"{home}/"
        for name, mode in folders:
            folder = home / name
            if not folder.exists():
                folder.mkdir()
                folder.chmod(mode)
                yield f"{name}/"
    except OSError as error:
        raise Unavailable(
            "workspace.make", f"{error.filename}: {error.strerror}", "choose a folder you may write to"
        ) from None


def _make_journal(home: Path, journal: Path) -> Iterator[str]:
    """Begin one; in a workspace that stands there, the settings say where it is."""
    if (home / SETTINGS).exists():
        raise Refused(
            "workspace.exists",
            f"{home} is a workspace already, and its settings are not changed",
            f"touch {journal / MARK}, write journal = {_quoted(journal)} below url in {SETTINGS}, and take a backup",
        )
    refuse_loose(journal)
    if not (journal / MARK).exists():
        write_new(journal / MARK, b"", 0o600)
        yield f"journal {journal}"


def _settings(kind: WorkspaceKind, journal: Path | None) -> bytes:
    text = (SHIPPED / "policies" / _SETTINGS_OF[kind]).read_text(encoding="utf-8")
    if journal is not None:
        text = text.replace("[store]\n", f"[store]\njournal = {_quoted(journal.absolute())}\n", 1)
    return text.encode()


def _quoted(path: Path) -> str:
    """As a string of TOML."""
    return json.dumps(str(path))


def _make_files(home: Path, kind: WorkspaceKind, journal: Path | None) -> Iterator[str]:
    shipped = SHIPPED / "policies"
    contents: list[tuple[str, Callable[[], bytes], int]] = [
        (SETTINGS, lambda: _settings(kind, journal), 0o600),
        ("softhsm2.conf", lambda: _SOFTHSM_CONF.format(tokens=home / "tokens").encode(), 0o600),
    ]
    policies = [path for path in sorted(shipped.rglob("*.toml")) if path.name not in _SETTINGS_OF.values()]
    for path in policies:
        inside = path.relative_to(shipped)
        if inside.parts[0] != "ceremonies":
            contents.append((f"policies/{inside}", path.read_bytes, 0o600))
        elif kind == "authority":
            contents.append((str(inside), path.read_bytes, 0o600))
    for name, content, mode in contents:
        path = home / name
        if not os.path.lexists(path):
            for folder in reversed([p for p in path.parents if not p.exists()]):
                folder.mkdir(mode=0o700)
            write_new(path, content(), mode)
            yield name


def _make_store(workspace: Workspace) -> Iterator[str]:
    store, made = Store.create(workspace.store_url, secrets.token_bytes(WORKSPACE_ID_OCTETS), workspace.journal)
    workspace.use_store(store)
    if made:
        yield f"store {workspace.store_url.partition(':')[0]}"


def _make_tokens(workspace: Workspace) -> Iterator[str]:
    for name, ref in workspace.tokens.items():
        if workspace.store.token(name) is not None or not workspace.hsm.can_create(ref):
            continue
        pin_file = workspace.pin_file(name)
        if pin_file is not None and not pin_file.exists():
            write_new(pin_file, f"{secrets.token_hex(PIN_OCTETS)}\n".encode(), 0o600)
        # A kill between making and recording leaves a token without a record: it is taken up, not made again.
        info = workspace.hsm.find(ref)
        if info is None:
            # The security officer's PIN only ever sets the user's: it is drawn, used once, and forgotten.
            so_pin = Pin(secrets.token_hex(PIN_OCTETS))
            info = workspace.hsm.create_token(ref, so_pin, workspace.pin(name)())
        with act(workspace, "token.made", token=name, hsm=ref.hsm, label=info.label, serial=info.serial) as tx:
            tx.put_token(TokenRecord(name, ref.hsm, info.label, info.serial))
        yield f"token {name}"
