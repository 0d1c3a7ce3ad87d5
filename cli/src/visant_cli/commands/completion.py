"""`visant completion`: the script with which a shell completes commands and devices."""

from typing import Annotated

import typer

from visant_cli.failure import ExitStatus, Failure

SHELLS = ("bash", "zsh", "fish")


def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print the script that completes commands and devices in a shell.

    bash: `visant completion bash > ~/.local/share/bash-completion/completions/visant`; zsh: into a folder of $fpath as
    `_visant`; fish: `~/.config/fish/completions/visant.fish`.
    """
    if shell not in SHELLS:
        raise Failure(f"{shell}: there is completion for {', '.join(SHELLS)}", ExitStatus.USAGE)
    from typer._completion_shared import get_completion_script

    print(get_completion_script(prog_name="visant", complete_var="_VISANT_COMPLETE", shell=shell))
