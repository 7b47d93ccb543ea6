"""`smki completion`: the script that makes the shell complete our commands."""

import click
from click.shell_completion import get_completion_class


@click.command("completion", epilog='Example: eval "$(smki completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for SHELL; evaluate it in your shell's start-up file.

    Then the Tab key goes on with commands, options and file names, and with the names that the workspace knows:
    tokens, authorities, officers, organisations, use cases.
    """
    from smki.cli.main import COMPLETING, cli

    maker = get_completion_class(shell)
    assert maker is not None, "click knows the three shells"
    click.echo(maker(cli, {}, "smki", COMPLETING).source())
