"""The command line that every service shares: `visant-x run | health | config | version`.

Imports only the standard library, and each command is imported when it is called: `health` runs every few
seconds on a small machine and must not load a web framework.
"""

import sys
from collections.abc import Callable, Sequence

Command = Callable[[Sequence[str]], int]


def dispatch(program: str, commands: dict[str, tuple[str, Command]], argv: Sequence[str] | None = None) -> int:
    """Runs the command that argv names and returns its exit status; 2 for a wrong call.

    `commands` maps a name to (one line of help, function of the remaining arguments). `version` is added.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in commands:
        return commands[arguments[0]][1](arguments[1:])
    if arguments[:1] == ["version"]:
        from visant_runtime.version import release_version  # 23 of the 28 ms of imports that `health` had

        print(f"{program} {release_version(program)}")
        return 0
    return _help(program, {name: text for name, (text, _) in commands.items()}, arguments)


def _help(program: str, commands: dict[str, str], arguments: Sequence[str]) -> int:
    """For whoever asks for it, or calls what is not there."""
    import argparse  # 10 ms, for nobody else

    parser = argparse.ArgumentParser(prog=program)
    known = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in {**commands, "version": "print the version"}.items():
        known.add_parser(name, help=text, add_help=False)
    try:
        parser.parse_args(arguments[:1])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 2
