import re
import shutil
import subprocess
import time
from datetime import UTC, datetime

import pytest

from tests.support.not_none import not_none
from visant_runtime.clock import Clock


def test_boottime_rises_and_counts_seconds() -> None:
    clock = Clock()
    first, mono = clock.boottime(), time.monotonic()
    time.sleep(0.02)
    assert clock.boottime() - first == pytest.approx(time.monotonic() - mono, abs=0.01)


def test_the_boot_has_an_id_and_the_wall_clock_a_zone() -> None:
    assert re.fullmatch(r"[0-9a-f-]{36}", Clock().boot_id())
    assert Clock().wall().tzinfo is UTC
    assert abs((Clock().wall() - datetime.now(UTC)).total_seconds()) < 1


def test_synchronised_agrees_with_the_kernels_own_tool() -> None:
    tool = shutil.which("adjtimex")
    if tool is None:
        assert Clock().synchronised() in (True, False)
        return
    said = subprocess.check_output([tool, "-p"], text=True)
    status = int(not_none(re.search(r"status: (\d+)", said))[1])
    assert Clock().synchronised() == (not status & 0x40)
