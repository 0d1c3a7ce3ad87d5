"""What many tests do: install, take a picture, wait for the stream."""

from __future__ import annotations

import time
from typing import Any

from tests.pi_host.cloud import Cloud
from tests.pi_host.pi import FROM_KIT, INSTALL, KIT, Pi
from tests.pi_host.wait import wait_for


def install(pi: Pi, cloud: Cloud, flags: str = "--camera fake", **environment: str) -> str:
    """The usual way, enrolled with a code from a file; the installer's output."""
    variables = "".join(f"{name}={value} " for name, value in environment.items())
    pi.write(f"{KIT}/code", cloud.enrol_code(pi.device), mode="600")
    who = f"--device-id {pi.device} --api-url {cloud.url} --enrol-file {KIT}/code"
    done = pi.sh(f"{variables}{INSTALL} {who} {FROM_KIT} --yes {flags}", check=False)
    assert done.code == 0, done.out
    return done.out


def connected(pi: Pi, cloud: Cloud, seconds: float = 60) -> None:
    """Wait for the device's stream."""
    wait_for(lambda: pi.device in cloud.connected(), seconds, f"the stream of {pi.device}")


def outcome(pi: Pi, cloud: Cloud) -> dict[str, Any]:
    """Trigger; the row once it has an outcome."""
    trigger = cloud.trigger(pi.device)

    def row() -> dict[str, Any] | None:
        rows = cloud.ask(f"/v1/devices/{pi.device}/triggers")["triggers"]
        found: dict[str, Any] | None = next(
            (one for one in rows if one["trigger_id"] == trigger and one["status"] in _FINAL), None
        )
        return found

    found: dict[str, Any] = wait_for(row, 45, "an outcome")
    return found


_FINAL = ("executed", "failed", "expired")


def picture(pi: Pi, cloud: Cloud, seconds: float = 60) -> float:
    """Wait for the stream, then seconds from a trigger to its stored picture."""
    connected(pi, cloud, seconds)
    began = time.monotonic()
    row = outcome(pi, cloud)
    assert row["status"] == "executed", row
    return time.monotonic() - began
