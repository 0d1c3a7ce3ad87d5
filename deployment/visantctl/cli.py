"""The command line. A command is a module in `visantctl/commands/`: adding a file adds the command.

Each has HELP (one line), `main(options) -> exit code` and, where it has flags, `arguments(parser)`; its name is the
module's, with `-`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from visantctl import commands
from visantctl.errors import Problem


class Command(Protocol):
    """What a module of `commands` offers."""

    HELP: str

    def main(self, options: argparse.Namespace) -> int:
        """Do it; a Problem becomes one line and its exit code."""


def names() -> list[str]:
    """All commands there are."""
    return [found.name.replace("_", "-") for found in pkgutil.iter_modules(commands.__path__)]


def command(name: str) -> Command:
    """The module of one command, imported only when it is needed."""
    return cast(Command, importlib.import_module(f"visantctl.commands.{name.replace('-', '_')}"))


def parser() -> argparse.ArgumentParser:
    """Of all commands."""
    top = argparse.ArgumentParser(prog="visantctl", description="Runs and updates this Visant Edge device.")
    inner = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in names():
        module = command(name)
        sub = inner.add_parser(name, help=module.HELP, description=module.HELP)
        if declare := getattr(module, "arguments", None):
            declare(sub)
        sub.set_defaults(main=module.main)
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Exit code of the command in `words`."""
    options = parser().parse_args(words)
    try:
        return int(options.main(options))
    except Problem as problem:
        print(f"visantctl: {problem}", file=sys.stderr)
        return problem.code
    except PermissionError as error:
        print(f"visantctl: {error.filename} may not be written: run as root (sudo visantctl ...)", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `visantctl doctor | head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # or Python complains once more at its end
        return 141
    except OSError as error:
        print(f"visantctl: {error.filename or 'this host'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
