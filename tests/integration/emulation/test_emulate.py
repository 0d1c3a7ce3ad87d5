"""`make emulate` as a person meets it: it says where the page is, and Ctrl-C leaves nothing behind."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from emulation.cloud_api import CloudApi
from emulation.wait import until

ROOT = Path(__file__).resolve().parents[3]


class Running:
    """One emulation, started as the Makefile does."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""

    async def read_until(self, pattern: str) -> re.Match[str]:
        assert self.process.stdout is not None
        async with asyncio.timeout(90):
            while not (found := re.search(pattern, self.text)):
                chunk = await self.process.stdout.read(4096)
                assert chunk, f"it ended before it said {pattern!r}:\n{self.text}"
                self.text += chunk.decode()
        return found

    def descendants(self) -> set[int]:
        """Every process below it, read from /proc."""
        parents: dict[int, int] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found - {self.process.pid}


@pytest.fixture
async def emulation(tmp_path: Path) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "emulation.emulate"],
        cwd=ROOT,
        env={**os.environ, "VISANT_STATE": str(tmp_path), "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Running(process)
    yield running
    if process.returncode is None:
        process.terminate()
    await process.communicate()


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists() and "zombie" not in _status(pid)}


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "zombie"


async def test_the_page_answers_and_ctrl_c_leaves_no_process(emulation: Running) -> None:
    url = (await emulation.read_until(r"page +(http://\S+)/"))[1]
    aiming = (await emulation.read_until(r"aiming +(http://\S+)/"))[1]
    pids = emulation.descendants()
    assert len(pids) >= 5
    async with httpx.AsyncClient(trust_env=False) as client:
        page = await client.get(url)
        assert page.status_code == 200 and "EMULATED-1" in page.text
        assert "Aim the camera" in (await client.get(aiming)).text
    async with CloudApi(url) as api:
        trigger = await api.trigger("EMULATED-1", "one")

        async def captured() -> bool:
            return (await api.triggers("EMULATED-1"))[trigger].status == "executed"

        await until("the picture is stored", captured, within=60)
        # that it must last a minute is tried by the cloud's own tests
        await api.choose_alert_rules(hold={"camera": 0})
    pull = (await emulation.read_until(r"pull +curl -d '(.+)' (http://\S+)")).groups()
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(pull[1], content=pull[0])).json()["fault"] == "absent"
    mail = await emulation.read_until(
        r'mail +\| "Alert: EMULATED-1: the camera gives no pictures" to you@\S+: (\S+\.eml), (http\S+)\n'
    )
    assert "Plug the camera in" in Path(mail[1]).read_text() and mail[2] == f"{url}/devices/EMULATED-1"
    emulation.process.send_signal(signal.SIGINT)
    await emulation.read_until("all ended")
    assert await asyncio.wait_for(emulation.process.wait(), 20) == 0
    assert alive(pids) == set()


async def test_a_kill_of_the_emulation_leaves_no_process(emulation: Running) -> None:
    await emulation.read_until(r"page +(http://\S+)/")
    pids = emulation.descendants()
    emulation.process.kill()

    async def gone() -> bool:
        return not alive(pids)

    await until("every process has ended", gone, within=20)


async def test_a_wrong_number_of_devices_is_one_line() -> None:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "emulation.emulate", "--devices", "0"],
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await process.communicate()
    assert process.returncode == 2
    assert b"DEVICES=0 is not between 1 and 50" in error
    assert b"Traceback" not in error
