"""A forked start is a start like any other to whoever asked for it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulation.processes import DiesWith
from tests.support.forked_starts import real_starts
from tests.support.not_none import not_none

CAMERA = str(Path(sys.executable).with_name("visant-camera"))


@pytest.fixture(params=["forked", "real"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each test holds for both."""
    if request.param == "forked":
        yield request.param
        return
    with real_starts():
        yield request.param


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, group, session, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def run(folder: Path, **how: object) -> "subprocess.Popen[str]":
    env = {"CAMERA_SOURCE": "fake", "HTTP_PORT": "0", "HEARTBEAT_FILE": str(folder / "heartbeat")}
    started = subprocess.Popen(  # type: ignore[call-overload]
        [CAMERA, "run"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how
    )
    assert isinstance(started, subprocess.Popen)
    return started


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_is_a_child_in_a_group_of_its_own_that_ends_by_a_signal(
    way: str, tmp_path: Path, number: signal.Signals
) -> None:
    with run(tmp_path, start_new_session=True, preexec_fn=DiesWith(os.getpid())) as started:
        assert any("camera ready" in line for line in not_none(started.stdout))
        parent, group, session = (int(field) for field in stat(started.pid)[1:4])
        assert (parent, group, session) == (os.getpid(), started.pid, started.pid)
        os.killpg(started.pid, number)
        assert started.wait(20) == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    assert not Path(f"/proc/{started.pid}").exists()


def test_without_a_session_of_its_own_it_is_in_the_group_of_who_started_it(way: str, tmp_path: Path) -> None:
    with run(tmp_path) as started:
        assert any("camera ready" in line for line in not_none(started.stdout))
        assert os.getpgid(started.pid) == os.getpgrp()
        started.kill()


def test_environment_arguments_status_and_both_outputs_are_its_own(way: str, tmp_path: Path) -> None:
    shown = subprocess.run([CAMERA, "config"], env={"CAMERA_SOURCE": "/dev/video7"}, capture_output=True, text=True)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "CAMERA_SOURCE=/dev/video7\n" in shown.stdout
    wrong = subprocess.run([CAMERA, "dance"], env={}, capture_output=True, text=True)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "usage: visant-camera" in wrong.stderr
    refused = subprocess.run([CAMERA, "config"], env={"CAMERA_SOURCE": "x y"}, capture_output=True, text=True)
    assert refused.returncode == 78


def test_a_relative_path_is_read_from_the_folder_it_was_started_in(way: str, tmp_path: Path) -> None:
    snapshot = [CAMERA, "snapshot", "--out", "one.jpg"]
    done = subprocess.run(snapshot, env={"CAMERA_SOURCE": "fake"}, cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "one.jpg").read_bytes().startswith(b"\xff\xd8")


async def test_asyncio_waits_for_it(way: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "visant_connector", "version"], stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert out.startswith(b"visant-connector ")
