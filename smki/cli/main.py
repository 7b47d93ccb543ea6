"""The command `smki`: its groups, its global options, and the one place where an error becomes text and an exit code.

Each noun is a file beside this one, imported only when it is used, so that no command pays for another's imports.
"""

import importlib
import os
import sys
from pathlib import Path

import click

from smki.cli.session import Session
from smki.errors import SmkiError

INTERNAL_ERROR = 70  # EX_SOFTWARE of sysexits.h: our fault, not the caller's

COMPLETING = "_SMKI_COMPLETE"  # the variable in which the shell's script says that a line is being completed

_COMMANDS = {
    "approve": ("smki.cli.approve", "See, grant and refuse what waits for a second officer."),
    "audit": ("smki.cli.audit", "Read, check, prove and export the audit log."),
    "broker": ("smki.cli.broker", "Admit commands, hold what is too much, add the broker's MAC."),
    "bundle": ("smki.cli.bundle", "Export, show, verify and compare trust bundles."),
    "ca": ("smki.cli.ca", "Show the hierarchy and its authorities."),
    "ceremony": ("smki.cli.ceremony", "Check, approve and run key ceremonies."),
    "cert": ("smki.cli.cert", "Find, show, renew, revoke and export certificates; set their status."),
    "chain": ("smki.cli.chain", "Verify certification paths."),
    "completion": ("smki.cli.completion", "Print the shell's completion script."),
    "contingency": ("smki.cli.contingency", "Replace a compromised root on devices, by its contingency key."),
    "cos": ("smki.cli.cos", "Change of supplier: ask for it, check it, sign it, take it back."),
    "credentials": ("smki.cli.credentials", "Replace and read credentials on devices; rotate devices' own keys."),
    "crl": ("smki.cli.crl", "Publish, show and verify certificate revocation lists; keep them on time."),
    "device": ("smki.cli.device", "Requests and certificates of devices; a device on the desk."),
    "han": ("smki.cli.han", "Plan a home; join and part its devices, list them, read their logs, top up."),
    "hsm": ("smki.cli.hsm", "See HSMs and tokens, and test what they can do."),
    "init": ("smki.cli.init", "Make a workspace, or fill in what one lacks."),
    "inventory": ("smki.cli.inventory", "Keep the inventory of devices: state, place, trust anchor cells; audit it."),
    "message": ("smki.cli.message", "Show, verify, sign, announce and decrypt messages; add MACs; run vectors."),
    "ocsp": ("smki.cli.ocsp", "Appoint responders; answer by OCSP whether certificates are revoked."),
    "officer": ("smki.cli.officer", "Make an officer's key; see the roll of officers."),
    "org": ("smki.cli.org", "Enrol organisations and their officers; issue certificates to them."),
    "recovery": ("smki.cli.recovery", "Recover devices after a compromise: plan, approve, run, follow."),
    "registration": ("smki.cli.registration", "Take in registration data; see who is registered for a meter point."),
    "store": ("smki.cli.store", "Back the store up, verify it or a backup, restore one."),
    "topup": ("smki.cli.topup", "Make and check prepayment tokens."),
    "usecase": ("smki.cli.usecase", "Look up what protects a use case, and who may send it."),
}


class _LazyGroup(click.Group):
    """A group whose members are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        if COMPLETING in os.environ:
            from smki.cli.names import know_names

            know_names(cmd_name, command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in sorted(_COMMANDS.items())])


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: smki init authority && smki --home authority ca tree",
)
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="SMKI_HOME",
    show_envvar=True,
    help="The workspace. Default: the one we stand in.",
)
@click.version_option(package_name="smki", message="smki %(version)s")
@click.pass_context
def cli(ctx: click.Context, home: Path | None) -> None:
    """Certificate authority and key management for a smart-metering system."""
    if not isinstance(ctx.obj, Session):
        ctx.obj = Session()
    ctx.obj.home = home
    ctx.call_on_close(ctx.obj.close)


def main() -> None:
    """Run `smki`; end with a documented exit code, and never with a traceback."""
    # Whatever we write is for its owner alone unless it is meant to be published.
    os.umask(0o077)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str], session: Session | None = None) -> int:
    """Run one command line and give its exit code."""
    try:
        result = cli.main(arguments, prog_name="smki", standalone_mode=False, obj=session)
    except SmkiError as error:
        _say("error", f"{error.message} [{error.code}]")
        _say("hint", error.remedy)
        return error.exit_status
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("error", "stopped before the end")
        return 130
    except SystemExit:
        # click's answer to a broken pipe: the reader of our output has gone (`| head`), and had what it wanted.
        return 0
    except Exception as error:
        if os.environ.get("SMKI_DEBUG") == "1":
            raise
        _say("error", f"a defect in smki: {type(error).__name__} [internal]")
        _say("hint", "nothing was half-changed; run it again with SMKI_DEBUG=1 and report what it prints")
        return INTERNAL_ERROR
    return result if isinstance(result, int) else 0


def _say(label: str, text: str) -> None:
    click.echo(click.style(f"{label}: ", fg="red" if label == "error" else "yellow") + text, err=True)
