"""A real picture, taken now and looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.errors import Problem
from visantctl.releases import camera_port
from visantctl.releases.stack import containers
from visantctl.releases.why import holder
from visantctl.wiring import Device

ORDER = 50

_NO_PICTURE = "no picture: "
_DARK = 8
"""Mean brightness of 255 below which a picture shows nothing."""
_LOOK = """
import json, urllib.error, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    with opener.open("http://127.0.0.1:8080/snapshot?timeout_ms=5000", timeout=10) as answer:
        body = answer.read()
except urllib.error.HTTPError as error:
    problem = json.loads(error.read())
    print(json.dumps({"reason": problem.get("reason"), "detail": problem.get("detail")}))
else:
    import cv2, numpy
    grey = cv2.imdecode(numpy.frombuffer(body, numpy.uint8), cv2.IMREAD_GRAYSCALE)
    print(json.dumps({"bytes": len(body), "width": grey.shape[1], "height": grey.shape[0],
        "brightness": float(grey.mean()), "sharpness": float(cv2.Laplacian(grey, cv2.CV_64F).var())}))
"""


def check(device: Device) -> Iterator[Finding]:
    """Taken by the camera service and judged beside it, where OpenCV is."""
    camera = device.running("camera")
    if camera is None:
        yield fail("camera", "the camera service does not run", "sudo systemctl restart visant-device-v2")
        return
    try:
        answer = device.engine.run("exec", camera, "python3", "-c", _LOOK, timeout=40)
        yield finding(json.loads(answer))
    except (Problem, ValueError) as error:
        yield fail("camera", f"the camera service gives no answer: {error}", "visantctl logs camera")
    yield from port(device)


def port(device: Device) -> Iterator[Finding]:
    """Where the camera is shown on this device, when it is not where the settings say."""
    first = camera_port.wanted(device.place)
    for one in containers(device.engine, device.settings.project):
        if one.service == "camera" and one.ports and first is not None and one.ports[0][2] != first:
            here = one.ports[0][2]
            who = holder(device, first)
            was = f"is taken by {who}" if who else "was taken when it started"
            yield warn(
                "camera",
                f"its page is at http://127.0.0.1:{here}/: port {first} {was}",
                f"sudo visantctl configure CAMERA_PORT={here} keeps it there; or free the port, then restart",
            )


def finding(seen: Mapping[str, Any]) -> Finding:
    """From what `_LOOK` printed."""
    if "bytes" not in seen:
        return fail(
            "camera",
            f"{_NO_PICTURE}{seen.get('reason')}: {seen.get('detail')}",
            "plug the camera in (another port, another cable), check CAMERA_SOURCE: visantctl camera probe",
        )
    text = f"{seen['width']}x{seen['height']}, {seen['bytes'] / 1000:.0f} kB, sharpness {seen['sharpness']:.0f}"
    if seen["brightness"] < _DARK:
        return warn("camera", f"{text}, and it is black", "is the lens covered, or the room dark?")
    return good("camera", text)


def is_missing(found: Finding) -> bool:
    """Whether it says that there is no camera, and nothing else."""
    return found.check == "camera" and found.text.startswith(f"{_NO_PICTURE}camera_absent")
