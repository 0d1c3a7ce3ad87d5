"""`visant-camera run | probe | snapshot | health | config | version`."""

import sys
from collections.abc import Sequence

from visant_runtime.entry import dispatch


def main() -> int:
    """The entry point; each command imports what it needs, `health` the standard library alone."""
    return dispatch(
        "visant-camera",
        {
            "run": ("own the camera and answer GET /snapshot", _run),
            "probe": ("list the cameras of this machine and what they can do", _probe),
            "snapshot": ("take one picture: snapshot --out x.jpg", _snapshot),
            "health": ("say whether the running service makes progress", _health),
            "config": ("print the settings in force", _config),
        },
    )


def _run(arguments: Sequence[str]) -> int:
    from visant_camera.wiring import run

    return run()


def _probe(arguments: Sequence[str]) -> int:
    from visant_camera.commands.probe import probe

    return probe(arguments)


def _snapshot(arguments: Sequence[str]) -> int:
    from visant_camera.commands.snapshot import snapshot

    return snapshot(arguments)


def _health(arguments: Sequence[str]) -> int:
    from visant_runtime.health import health_command

    return health_command("camera")


def _config(arguments: Sequence[str]) -> int:
    from visant_camera.settings import CameraSettings
    from visant_runtime.settings import load, show

    settings = load(CameraSettings)
    size = "{}x{}".format(*settings.wishes.size)  # where it is unset, what the driver asks for
    print(show(settings.model_copy(update={"camera_resolution": size})))
    return 0


if __name__ == "__main__":
    sys.exit(main())
