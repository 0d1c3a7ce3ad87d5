"""What a service's process says of itself."""

from __future__ import annotations

import json
from typing import Any

from visantctl.errors import Problem
from visantctl.wiring import Device


def heartbeat(device: Device, service: str) -> dict[str, Any] | None:
    """Its heartbeat file (`facts`, `degraded`), read in its container; None where it does not run."""
    try:
        container = device.running(service)
        if container is None:
            return None
        value = json.loads(device.engine.run("exec", container, "cat", f"/run/visant/{service}.heartbeat", timeout=15))
    except (Problem, ValueError):
        return None
    return value if isinstance(value, dict) else None
