"""`visant-connector run | health | config | version`. `health` imports only the standard library."""

import sys
from collections.abc import Sequence

from visant_runtime.entry import dispatch


def main() -> int:
    """The command line; each command imports what it needs."""
    return dispatch(
        "visant-connector",
        {
            "run": ("hold the cloud's command stream and admit its commands into Redis", _run),
            "health": ("one line, exit status 0 where the loop makes progress", _health),
            "config": ("print the settings in force", _config),
        },
    )


def _run(arguments: Sequence[str]) -> int:
    from visant_connector.wiring import run

    return run()


def _health(arguments: Sequence[str]) -> int:
    from visant_runtime.health import health_command

    return health_command("connector")


def _config(arguments: Sequence[str]) -> int:
    from visant_connector.settings import ConnectorSettings
    from visant_runtime.settings import config_command

    return config_command(ConnectorSettings, arguments)


if __name__ == "__main__":
    sys.exit(main())
