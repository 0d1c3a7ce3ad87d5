"""`visantctl run`: the foreground process that is the device's systemd service."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.fake_clock import find_libfaketime, trimmed
from tests.faults.scenario import Skipped
from tests.updates.conftest import GOOD, NEXT
from tests.updates.host import Host, killed, wait_for
from tests.updates.shop import Shop
from tests.updates.wire import Website


class Service:
    """A running `visantctl run` and what it has printed."""

    def __init__(self, host: Host) -> None:
        self.lines: list[str] = []
        self.process = host.start("run")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            print(line, end="")

    def said(self, words: str) -> bool:
        return any(words in line for line in self.lines)

    def end(self) -> int:
        """Its exit code; told to end unless it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def runs(host: Host) -> bool:
    return bool(host.status()["state"] == "ok")


@contextmanager
def running(host: Host) -> Iterator[Service]:
    service = Service(host)
    try:
        yield service
    finally:
        service.end()


def test_it_stops_the_services_with_itself_and_their_logs_can_be_read(host: Host) -> None:
    host.configure(UPDATE_WINDOW="86400")
    with running(host) as service:
        wait_for(lambda: runs(host), 60, "the services")
        # made anew, for the settings have changed: the one before is there for a moment longer
        wait_for(lambda: len(host.containers("camera")) == 1, 60, "the old one to go")
        wait_for(lambda: "camera ok runs" in host.docker("logs", host.container("camera")), 60, "its first line")
        host.assert_runs(GOOD)
        assert service.end() == 0
    value = host.status()
    assert value["state"] == "stopped"
    assert {one["status"] for one in value["services"].values()} == {"exited"}


@pytest.mark.long
def test_a_restart_picks_up_an_edited_env_device(host: Host) -> None:
    host.configure(UPDATE_WINDOW="86400", DEVICE_ID="RENAMED-1")
    before = host.container("camera")
    with running(host):
        wait_for(lambda: host.containers("camera") not in ([], [before]), 60, "a new container")
        wait_for(lambda: len(host.containers("camera")) == 1, 60, "the old one to go")
        assert "DEVICE_ID=RENAMED-1" in host.docker("inspect", "--format", "{{.Config.Env}}", host.container("camera"))


def test_it_starts_without_any_network_and_updates_when_the_network_comes(
    shop: Shop, host: Host, website: Website
) -> None:
    shop.offer(NEXT, host.channel)
    website.down()
    try:
        with running(host):
            wait_for(lambda: runs(host), 60, "the services")
            wait_for(lambda: host.history()[-1]["result"] == "not_taken", 60, "the failed check")
            host.assert_runs(GOOD)
    finally:
        website.up()
    with running(host) as service:
        wait_for(lambda: service.said(f"visantctl of {NEXT} takes over"), 300, "the update after the start")
        host.assert_runs(NEXT)
        assert service.process.poll() is None
        assert service.end() == 0
    assert host.status()["state"] == "stopped"


@pytest.mark.long
def test_an_update_that_was_killed_is_repaired_by_the_running_service(shop: Shop, host: Host) -> None:
    host.configure(UPDATE_WINDOW="86400")
    shop.offer(NEXT, host.channel)
    with running(host) as service:
        wait_for(lambda: runs(host), 60, "the services")
        assert killed(host.ctl("update", kill_at="current-linked")[0])
        wait_for(lambda: service.said("runs again"), 300, "the repair")
        host.assert_runs(GOOD)


@pytest.mark.long
def test_a_service_that_stays_down_is_started_again(host: Host) -> None:
    host.configure(UPDATE_WINDOW="86400")
    with running(host) as service:
        wait_for(lambda: runs(host), 60, "the services")
        host.docker("stop", host.container("uploader"))  # the Engine leaves it so, as after some crashes
        wait_for(lambda: service.said("uploader does not run: starting it again"), 240, "the second look")
        wait_for(lambda: host.status()["state"] == "ok", 60, "the uploader")
        assert service.process.poll() is None


@pytest.mark.long
def test_a_service_that_stays_unhealthy_is_restarted(host: Host) -> None:
    host.configure(UPDATE_WINDOW="86400")
    with running(host) as service:
        wait_for(lambda: runs(host), 60, "the services")
        host.docker("exec", host.container("uploader"), "touch", "/tmp/hangs")  # a restart empties /tmp
        wait_for(lambda: service.said("uploader stays unhealthy: restarting it"), 300, "the second look")
        wait_for(lambda: host.status()["state"] == "ok", 60, "the uploader")
        assert service.process.poll() is None


@pytest.mark.long
def test_it_ends_when_the_services_were_stopped_behind_its_back(host: Host) -> None:
    host.configure(UPDATE_WINDOW="86400")
    with running(host) as service:
        wait_for(lambda: runs(host), 60, "the services")
        names = [host.container(name) for name in ("camera", "connector", "uploader", "redis")]
        subprocess.run(["docker", "stop", *names], check=True, capture_output=True)
        assert service.process.wait(90) == 1
        assert service.said("stopped by somebody else")


@pytest.mark.long
def test_a_wall_clock_that_is_a_year_back_changes_nothing(shop: Shop, host: Host, tmp_path: Path) -> None:
    try:
        library = trimmed(find_libfaketime(), tmp_path / "libfaketime.so.1")
    except Skipped as reason:
        pytest.skip(str(reason))
    host.more_environment = {
        "LD_PRELOAD": str(library), "FAKETIME": "-365d", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
    }  # fmt: skip
    host.configure(UPDATE_WINDOW="86400")
    shop.offer(NEXT, host.channel)
    with running(host) as service:
        wait_for(lambda: runs(host), 60, "the services")
        host.update()
        host.assert_runs(NEXT)
        wait_for(lambda: service.said(f"visantctl of {NEXT} takes over"), 60, "the new visantctl")
        assert service.end() == 0
    first, last = host.history()[0], host.history()[-1]
    assert (last["result"], last["to"]) == ("updated", NEXT)
    assert last["at"] < first["at"], "the clock was indeed back"
    host.more_environment = {}
    assert host.ctl("boot")[0] == 0
    host.assert_runs(NEXT)
