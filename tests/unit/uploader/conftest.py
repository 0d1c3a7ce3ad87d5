"""Values that many tests of the uploader begin with."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from visant_contract.capture import CaptureTime
from visant_contract.outcome import OutcomeReport, Reason
from visant_contract.stream import CommandEntry, Deadline
from visant_runtime.clock import Moment
from visant_runtime.heartbeat import Heartbeat
from visant_uploader.counters import Counters
from visant_uploader.spool.figures import Limits
from visant_uploader.spool.file_format import SpoolHeader
from visant_uploader.spool.store import Spool

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


class Make:
    """Builders with everything filled in; name what matters to the test."""

    noon = NOON
    spools: ClassVar[list[Spool]] = []

    @staticmethod
    def moment(boottime: float = 1000.0, **more: Any) -> Moment:
        wall = NOON + timedelta(seconds=boottime - 1000.0)
        return Moment(**{"boot_id": "boot-1", "boottime": boottime, "wall": wall, "synchronised": True, **more})

    @staticmethod
    def entry(deadline: float = 1100.0, boot_id: str = "boot-1", **more: Any) -> CommandEntry:
        return CommandEntry(
            **{
                "cloud_id": "cloud-1",
                "plain": False,
                "kind": "capture",
                "cmd": "capture",
                "trigger_id": "t-1",
                "admitted_wall": NOON,
                "admitted_synchronised": True,
                "deadline": Deadline(boot_id=boot_id, boottime=deadline),
                **more,
            }
        )

    @staticmethod
    def time(**more: Any) -> CaptureTime:
        return CaptureTime(**{"boot_id": "boot-1", "boottime": 990.0, "wall": NOON, "synchronised": True, **more})

    @classmethod
    def picture(cls, trigger_id: str = "t-1", **more: Any) -> SpoolHeader:
        return SpoolHeader(
            **{
                "kind": "picture",
                "device_id": "FLOOR1",
                "cloud_id": "cloud-1",
                "plain": False,
                "api_url": "http://cloud",
                "trigger_id": trigger_id,
                "trigger_type": "manual",
                "device_version": "2.0.0",
                "time": cls.time(),
                **more,
            }
        )

    @classmethod
    def report(cls, trigger_id: str = "t-1", reason: Reason = Reason.CAMERA_ABSENT, **more: Any) -> SpoolHeader:
        said = OutcomeReport(status="failed", reason=reason)
        return cls.picture(trigger_id, kind="report", report=said, **more)

    @classmethod
    def spool(
        cls,
        root: Path,
        *,
        max_bytes: int = 1 << 30,
        min_free_bytes: int = 0,
        counters: Counters | None = None,
        free_bytes: Callable[[Path], int] | None = None,
    ) -> Spool:
        """Closed when the test ends."""
        one = Spool(
            root,
            Limits(max_bytes, min_free_bytes),
            counters or Counters(),
            Heartbeat(root / "heartbeat"),
            free_bytes=free_bytes,
        )
        cls.spools.append(one)
        return one


@pytest.fixture
def make() -> Iterator[type[Make]]:
    yield Make
    while Make.spools:
        Make.spools.pop().close()


@pytest.fixture
def boottime() -> Callable[[], float]:
    """A clock that a test sets: call it for the time, set `.now`."""

    class Steady:
        now = 1000.0

        def __call__(self) -> float:
            return self.now

    return Steady()
