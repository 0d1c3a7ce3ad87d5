"""The tree of commands. Of a command line that names a noun only this noun is loaded: a start takes half the time."""

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

COMMANDS = {
    "login": ("login", "login"),
    "logout": ("login", "logout"),
    "status": ("login", "status"),
    "trigger": ("trigger", "trigger"),
    "tail": ("tail", "tail"),
    "audit": ("audit", "audit"),
    "completion": ("completion", "completion"),
}
"""Name -> module of commands/ and function."""
NOUNS = (
    "devices",
    "triggers",
    "pictures",
    "schedule",
    "slots",
    "config",
    "update",
    "alerts",
    "channels",
    "jobs",
    "groups",
    "enrol",
    "users",
    "tokens",
    "profiles",
)
"""Each is a module of commands/ with an `app`."""


def app_for(words: Sequence[str]) -> typer.Typer:
    """The program for this command line; all of it where the first word is none of its commands, or an option."""
    app = typer.Typer(
        name="visant",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(visant)
    first = words[0] if words else None
    chosen = {first} & {*COMMANDS, *NOUNS} or {*COMMANDS, *NOUNS}
    for name, (module, function) in COMMANDS.items():
        if name in chosen:
            app.command(name)(getattr(import_module(f"visant_cli.commands.{module}"), function))
    for noun in NOUNS:
        if noun in chosen:
            app.add_typer(import_module(f"visant_cli.commands.{noun}").app, name=noun)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("visant-cli"))
        raise typer.Exit


def visant(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """A cloud of Visant Edge from a terminal. Begin with: visant login URL"""
