"""`visant-uploader run | health | config | spool | version`: the command line, and nothing else."""

import sys
from collections.abc import Sequence

from visant_runtime.entry import dispatch


def _run(arguments: Sequence[str]) -> int:
    from visant_uploader.wiring import run

    return run()


def _health(arguments: Sequence[str]) -> int:
    from visant_runtime.health import health_command

    return health_command("uploader")


def _config(arguments: Sequence[str]) -> int:
    from visant_runtime.settings import config_command
    from visant_uploader.settings import UploaderSettings

    return config_command(UploaderSettings, arguments)


def _spool(arguments: Sequence[str]) -> int:
    from visant_uploader.spool.admin.command import spool_command

    return spool_command(arguments)


def main() -> int:
    """The console script."""
    return dispatch(
        "visant-uploader",
        {
            "run": ("execute commands and deliver outcomes until SIGTERM", _run),
            "health": ("exit 0 where every loop makes progress", _health),
            "config": ("print the settings in force, secrets masked", _config),
            "spool": ("look at and mend the spool: ls, show, requeue, export, import", _spool),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
