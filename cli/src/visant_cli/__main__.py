"""`visant`: the command line, and what is said at the end of it: one line and an exit status, never a traceback."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from visant_cli.failure import ExitStatus, Failure
from visant_cli.safe_text import shown


def main(words: Sequence[str] | None = None) -> int:
    """The console script; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a letter the terminal lacks
    given = list(sys.argv[1:] if words is None else words)
    try:
        status = _run(given)
        sys.stdout.flush()
        return status
    except Failure as failure:
        return _say(failure.line, failure.status)
    except KeyboardInterrupt:
        return _say("stopped", ExitStatus.INTERRUPTED)
    except BrokenPipeError:
        _print_no_more()
        return ExitStatus.DONE  # whoever reads has enough, as `| head`
    except OSError as error:
        _print_no_more()
        return _say(f"{error.filename or 'standard output'}: {error.strerror or error}", ExitStatus.LOCAL)
    except (KeyError, TypeError, AttributeError, ValueError, AssertionError) as error:
        if os.environ.get("VISANT_DEBUG"):
            raise
        return _say(
            f"a fault of visant, or an answer that it does not understand ({type(error).__name__}: {error}): are cloud "
            "and visant of one release? VISANT_DEBUG=1 shows where",
            ExitStatus.FAULT,
        )


def _run(words: list[str]) -> int:
    import typer

    from visant_cli.app import app_for

    try:
        status = typer.main.get_command(app_for(words))(words, prog_name="visant", standalone_mode=False)
    except typer.Abort:
        return _say("stopped", ExitStatus.INTERRUPTED)
    except typer.TyperException as error:
        if not error.format_message():
            return ExitStatus.USAGE  # a noun alone: its help was printed
        where = getattr(error, "ctx", None)
        help_of = f" (see {where.command_path} --help)" if where is not None else ""
        return _say(f"{error.format_message()}{help_of}", ExitStatus.USAGE)
    return status if isinstance(status, int) else ExitStatus.DONE


def _print_no_more() -> None:
    """What waits to be printed goes nowhere: else the interpreter tries once more at its end, and complains."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(line: str, status: ExitStatus) -> int:
    with suppress(OSError):
        sys.stdout.flush()
    with suppress(OSError):
        print(f"visant: {shown(line)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
