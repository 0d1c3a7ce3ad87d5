"""The uploader as a process of its own, and what the connector would have written into Redis."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis

from tests.fakes.fake_camera import FakeCamera, boottime
from tests.fakes.fake_cloud import FakeCloud
from visant_contract.stream import CLOUD, DEADLINES, ENTRY_FIELD, STREAM, CloudSeen, CommandEntry, Deadline

BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
EXECUTABLE = Path(sys.executable).with_name("visant-uploader")


PATIENCE = 120.0
"""Seconds: for a machine on which a process has a tenth of a core. What must be quick is measured by itself."""


def until(condition: Callable[[], Any], seconds: float = PATIENCE, what: str = "the condition") -> Any:
    """Waits for the condition to hold and returns its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} did not hold within {seconds} s")


class Device:
    """One uploader with its spool; started, killed and started again at will."""

    def __init__(self, folder: Path, redis_url: str, camera: FakeCamera, cloud: FakeCloud) -> None:
        self.folder = folder
        self.spool = folder / "spool"
        self.cloud_id = "cloud-1"
        self.api_url = cloud.url
        self._redis_url = redis_url
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "uploader.log"
        self.environment = {
            "PATH": os.environ["PATH"],
            "DEVICE_ID": "FLOOR1",
            "API_URL": cloud.url,
            "REDIS_URL": redis_url,
            "CAMERA_URL": camera.url,
            "SPOOL_DIR": str(self.spool),
            "SPOOL_MIN_FREE_BYTES": "1000000",
            "HEARTBEAT_FILE": str(folder / "heartbeat"),
            "CAPTURE_PATIENCE": "15",
            "TELEMETRY_INTERVAL": "3600",
            "LOG_LEVEL": "DEBUG",
        }

    @property
    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self._redis_url, decode_responses=True)

    def start(self, **environment: str) -> None:
        assert self._process is None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(EXECUTABLE), "run"], env={**self.environment, **environment}, stdout=log, stderr=log
            )

    def ended(self, seconds: float = PATIENCE) -> int:
        """Waits for the process to end by itself; its status (negative: the signal)."""
        assert self._process is not None
        status = self._process.wait(timeout=seconds)
        self._process = None
        return status

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self.ended()

    def terminate(self, seconds: float = 10.0) -> tuple[int, float]:
        """SIGTERM: (status, seconds it took)."""
        assert self._process is not None
        began = time.monotonic()
        self._process.terminate()
        return self.ended(seconds), time.monotonic() - began

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(EXECUTABLE), *arguments],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    # ---- the connector's side

    def confirm_stream(self, *, at: float | None = None, plain: bool = False, **more: Any) -> None:
        """As the connector does at each `connected`."""
        now = boottime()
        seen = CloudSeen(
            api_url=self.api_url,
            cloud_id=self.cloud_id,
            plain=plain,
            boot_id=BOOT_ID,
            connected_boottime=now if at is None else at,
            **{"clock_offset": datetime.now(UTC).timestamp() - now, **more},
        )
        with self.redis as connection:
            connection.set(CLOUD, seen.model_dump_json())

    def admit(self, trigger_id: str | None, *, ttl: float = 60.0, boot_id: str = BOOT_ID, **more: Any) -> str:
        """As the admission script does; returns the stream entry's id."""
        entry = CommandEntry(
            **{
                "cloud_id": self.cloud_id,
                "plain": False,
                "kind": "capture",
                "cmd": "capture",
                "trigger_id": trigger_id,
                "admitted_wall": datetime.now(UTC),
                "admitted_synchronised": True,
                "deadline": Deadline(boot_id=boot_id, boottime=boottime() + ttl),
                **more,
            }
        )
        with self.redis as connection:
            return str(connection.xadd(STREAM, {ENTRY_FIELD: entry.model_dump_json()}))

    def renew(self, entry_id: str, ttl: float = 60.0) -> None:
        """As a replay does."""
        deadline = Deadline(boot_id=BOOT_ID, boottime=boottime() + ttl)
        with self.redis as connection:
            connection.hset(DEADLINES, entry_id, deadline.model_dump_json())

    def queue_length(self) -> int:
        with self.redis as connection:
            return int(connection.xlen(STREAM))

    def files(self, *folders: str) -> list[Path]:
        """Outcome files in the spool, or in these folders of it."""
        roots = [self.spool / folder for folder in folders] if folders else [self.spool]
        return sorted(path for root in roots for path in root.rglob("*") if path.suffix in (".picture", ".report"))
