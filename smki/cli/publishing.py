"""`smki ca publish` and `smki ca verify-published`: the folder the world reads."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.options import EXISTING
from smki.cli.render import emit, fields, json_option, table
from smki.cli.session import Session, pass_session
from smki.words import counted, utc

if TYPE_CHECKING:
    from smki.authority.publication.site import Refreshed
    from smki.authority.publication.verify import Judgement

_MAX_KEY_OCTETS = 1024


@click.command("publish", epilog="Example: smki ca publish")
@json_option
@pass_session
def publish(session: Session, as_json: bool) -> int:
    """Refresh the public folder: certificates, bundles, page, index, feed, digests, signed manifest.

    Lists are made by `smki crl publish`, which refreshes it too. Exit code 4: a list's file is not the one on record.
    """
    from smki.authority.publication.site import refresh_site

    done = refresh_site(session.workspace)
    data = {
        "folder": session.workspace.home / "published",
        "version": done.manifest.version,
        "files": len(done.manifest.files),
        "written": list(done.written),
        "lists_behind": list(done.behind),
    }
    emit(data, as_json, lambda: _tell(data["folder"], done))
    return 4 if done.behind else 0


def _tell(folder: Any, done: "Refreshed") -> None:
    for path in done.written:
        click.echo(f"wrote {path}")
    click.echo(f"{folder}: manifest version {done.manifest.version} over {counted(len(done.manifest.files), 'file')}")
    for path in done.behind:
        click.echo(f"{path} is not the list on record: run `smki crl publish`", err=True)


@click.command("verify-published", epilog="Example: smki ca verify-published mirror --key verifier-key")
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--key",
    "key_file",
    type=EXISTING,
    help="The log's verifier key, got by another way than the folder; default: the workspace's own.",
)
@json_option
@pass_session
def verify(session: Session, folder: Path | None, key_file: Path | None, as_json: bool) -> int:
    """Judge a published folder, or a mirror of one, as a stranger would: signatures, digests, lists; offline.

    FOLDER: default, the workspace's. Exit code 5 if anything is wrong.
    """
    from smki.authority.publication.verify import verify_published

    log, spki = _key(session, key_file)
    verdict = verify_published(folder or session.workspace.home / "published", log, spki, session.clock())
    emit(_json(verdict), as_json, lambda: _show(verdict))
    return 5 if verdict.faults else 0


def _key(session: Session, path: Path | None) -> tuple[str, bytes]:
    from smki.authority.safe_files import read_bounded
    from smki.errors import IntegrityFailure, InvalidInput
    from smki.store.note import read_verifier_key

    if path is not None:
        return read_verifier_key(read_bounded(path, _MAX_KEY_OCTETS, "verifier-key").decode(errors="replace"))
    if not session.has_workspace:
        raise InvalidInput(
            "published.no-key",
            "there is no workspace here whose key could be taken",
            "name the log's verifier key with --key; the one in the folder proves nothing",
        )
    store = session.workspace.store
    if store.audit_key is None:
        raise IntegrityFailure("audit.no-key", "no audit key is on record", "run `smki init`")
    return store.origin, store.audit_key


def _json(verdict: "Judgement") -> dict[str, Any]:
    manifest = verdict.manifest
    return {
        "workspace": manifest.workspace if manifest else None,
        "version": manifest.version if manifest else None,
        "made_at": manifest.made_at if manifest else None,
        "files": len(manifest.files) if manifest else 0,
        "certificates": verdict.certificates,
        "lists": [
            {
                "authority": item.authority,
                "kind": item.kind,
                "number": item.number,
                "this_update": item.this_update,
                "next_update": item.next_update,
                "file": item.file,
            }
            for item in verdict.lists
        ],
        "faults": [fault.as_json() for fault in verdict.faults],
    }


def _show(verdict: "Judgement") -> None:
    if verdict.manifest is not None:
        manifest = verdict.manifest
        fields(
            [
                ("log", manifest.workspace),
                ("manifest", f"version {manifest.version}, made {utc(manifest.made_at)}"),
                ("files", str(len(manifest.files))),
                ("certificates", str(verdict.certificates)),
                ("lists", str(len(verdict.lists))),
            ]
        )
    if verdict.lists:
        click.echo()
        rows = [
            (item.authority, item.kind, str(item.number), utc(item.this_update), utc(item.next_update))
            for item in verdict.lists
        ]
        table(["List", "Kind", "Number", "This update", "Next update"], rows)
    click.echo()
    if verdict.faults:
        table(["Fault", "What is wrong", "What to do"], [(f.code, f.message, f.remedy) for f in verdict.faults])
    else:
        click.echo("all of it is as published")
