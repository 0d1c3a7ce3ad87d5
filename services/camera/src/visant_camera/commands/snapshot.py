"""`visant-camera snapshot --out x.jpg`: one picture, through the running service or without any."""

import argparse
import asyncio
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from visant_camera.control_values import SavedValues
from visant_camera.desired_settings import DesiredSettings
from visant_camera.settings import CameraSettings
from visant_camera.snapshots import NoFrameInTime
from visant_contract.snapshot import CAPTURED_AT, HEIGHT, SEQUENCE, WIDTH
from visant_runtime import logs
from visant_runtime.settings import load

_ALONE = 10.0  # seconds for a camera that has to be opened first
_SERVED = 5.0


def snapshot(arguments: Sequence[str]) -> int:
    """0: written. 1: no picture, and why."""
    parser = argparse.ArgumentParser(prog="visant-camera snapshot", description=__doc__)
    parser.add_argument("--out", required=True, metavar="FILE", help="where to write the JPEG; - is standard output")
    out = parser.parse_args(arguments).out
    settings = load(CameraSettings)
    logs.configure(level="ERROR", secrets=settings.secrets())
    try:
        jpeg, what = _through_service(settings) or asyncio.run(_alone(settings))
        if out == "-":
            sys.stdout.buffer.write(jpeg)
        else:
            Path(out).write_bytes(jpeg)
    except NoFrameInTime as error:
        print(f"[ERROR] no picture: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"[ERROR] {out} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{out}: {what}, {len(jpeg) / 1000:.0f} kB", file=sys.stderr if out == "-" else sys.stdout)
    return 0


def _through_service(settings: CameraSettings) -> tuple[bytes, str] | None:
    """None where no camera service answers at HTTP_HOST and HTTP_PORT. Raises NoFrameInTime where it has none."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.http_host, settings.http_host)  # noqa: S104  compared only
    url = f"http://{host}:{settings.http_port}/snapshot?timeout_ms={_SERVED * 1000:.0f}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=_SERVED + 5) as answer:
            head = answer.headers
            if SEQUENCE not in head:
                return None  # some other program's port
            what = f"{head[WIDTH]}x{head[HEIGHT]}, taken {head[CAPTURED_AT]} by the running service"
            return answer.read(), what
    except urllib.error.HTTPError as error:
        try:
            refusal = json.loads(error.read())
            raise NoFrameInTime(refusal["reason"], refusal["detail"]) from None
        except (ValueError, KeyError, TypeError):
            return None
    except OSError:
        return None


async def _alone(settings: CameraSettings) -> tuple[bytes, str]:
    """Opens the camera for this one picture. Raises NoFrameInTime."""
    from visant_camera.wiring import assemble

    folder = settings.camera_state_dir
    camera = assemble(settings, SavedValues(folder), DesiredSettings(folder))
    camera.grabber.start()
    try:
        picture, jpeg = await camera.snapshots.take(max_age=None, timeout=_ALONE)
    finally:
        await asyncio.to_thread(camera.grabber.stop)
    frame = picture.frame
    taken = picture.exposed.wall.isoformat(timespec="milliseconds")
    return jpeg, f"{frame.width}x{frame.height}, taken {taken} from {settings.shown_source}"
