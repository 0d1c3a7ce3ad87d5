"""visant-cloud: one program to run the cloud and to let people and devices in."""

import sys
from collections.abc import Callable, Sequence

from visant_runtime.entry import Command, dispatch


def _run(arguments: Sequence[str]) -> int:
    from visant_cloud.settings import CloudSettings
    from visant_runtime import settings

    chosen = settings.load(CloudSettings)  # before the rest is loaded: a mistake is said at once
    from visant_cloud import workers

    count = workers.wanted(list(arguments))
    workers.check(count, chosen)
    from visant_cloud.wiring import run

    return run(chosen, count)


def _health(arguments: Sequence[str]) -> int:
    from visant_runtime.health import health_command

    return health_command("cloud")


def _config(arguments: Sequence[str]) -> int:
    from visant_cloud.settings import CloudSettings
    from visant_runtime.settings import config_command

    return config_command(CloudSettings, arguments)


def _administer(name: str) -> Callable[[Sequence[str]], int]:
    def call(arguments: Sequence[str]) -> int:
        from visant_cloud.access import cli

        return cli.main(name, arguments)

    return call


def _backup(arguments: Sequence[str]) -> int:
    from visant_cloud.backup import cli

    return cli.backup(arguments)


def _restore(arguments: Sequence[str]) -> int:
    from visant_cloud.backup import cli

    return cli.restore(arguments)


COMMANDS: dict[str, tuple[str, Command]] = {
    "run": ("serve until told to stop; --workers N: in N processes", _run),
    "health": ("exit 0 while the running cloud makes progress", _health),
    "config": ("print the settings in force", _config),
    "migrate": ("bring the database to the current schema", _administer("migrate")),
    "create-organisation": ("make room for another customer's devices and people", _administer("create-organisation")),
    "organisations": ("list the organisations", _administer("organisations")),
    "add-member": ("let an operator act for another organisation too", _administer("add-member")),
    "remove-member": ("take that back", _administer("remove-member")),
    "create-operator": ("let a person sign in, or set a new password", _administer("create-operator")),
    "list-operators": ("list who may sign in, and as what", _administer("list-operators")),
    "remove-operator": ("take a person out, with all its sessions", _administer("remove-operator")),
    "set-role": ("say what a person may do", _administer("set-role")),
    "create-device": ("create a device and print its token, once", _administer("create-device")),
    "create-token": ("create an API token and print it, once", _administer("create-token")),
    "list-tokens": ("list the API tokens and when they were last used", _administer("list-tokens")),
    "revoke-token": ("make an API token worthless", _administer("revoke-token")),
    "revoke-device": ("make a device's token worthless until restore-device", _administer("revoke-device")),
    "restore-device": ("let a revoked device in again with its token", _administer("restore-device")),
    "enrol-code": ("print a one-time code that a device exchanges for its token", _administer("enrol-code")),
    "devices": ("list the devices", _administer("devices")),
    "backup": ("copy rows and pictures into a folder, beside a running cloud", _backup),
    "restore": ("put a backup back, or check one", _restore),
    "recount": ("count what the pages show anew, and mend what is wrong", _administer("recount")),
}


def main() -> int:
    """The console script."""
    return dispatch("visant-cloud", COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
