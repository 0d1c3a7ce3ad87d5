"""The real services, a real cloud, triggers all the time: 1.0 -> 1.1 (bad) -> 1.0 -> 1.2, and no trigger is lost."""

from __future__ import annotations

import contextlib
import html
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.updates.conftest import numbered
from tests.updates.host import Host, wait_for
from tests.updates.shop import PRODUCT, TREE, Shop, docker, signers
from tests.updates.test_run import running
from tests.updates.wire import Website

ONE_ZERO, ONE_ONE, ONE_TWO = numbered(21), numbered(22), numbered(23)


class Traffic:
    """Rounds of triggers through the cloud's public endpoint, one after the other, until told to stop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self.rounds: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def finish(self) -> None:
        """End with the round that is going on."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        words = [sys.executable, "-m", "emulation.smoke", "-n", "20", "--rate", "2", "--url", self._url]
        while not self._stop.is_set():
            done = subprocess.run(words, cwd=TREE, capture_output=True, text=True, check=False)
            print(done.stdout, done.stderr)
            last = done.stdout.strip().splitlines()[-1:] or ["{}"]
            self.rounds.append({"exit": done.returncode, **json.loads(last[0])})

    def total(self, key: str) -> int:
        return sum(int(one.get(key, 0)) for one in self.rounds)


class Watcher:
    """Asks the camera for pictures ten times a second and notes the gaps between answers."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/snapshot"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.gaps: list[float] = []

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(0.1):
            with contextlib.suppress(OSError), urllib.request.urlopen(self._url, timeout=5) as answer:
                if answer.read(2) == b"\xff\xd8":
                    now = time.monotonic()
                    self.gaps.append(now - last)
                    last = now


def shown_by_the_cloud(url: str) -> tuple[dict[str, Any], str]:
    """(the device's newest telemetry of its updates, the page that people see)."""
    with urllib.request.urlopen(f"{url}/v1/devices/EMULATED-1", timeout=10) as answer:
        telemetry = json.load(answer)["telemetry"] or {}
    with urllib.request.urlopen(f"{url}/devices/EMULATED-1", timeout=10) as answer:
        return telemetry.get("update") or {}, answer.read().decode()


@pytest.fixture
def cloud() -> Iterator[tuple[str, str]]:
    """(URL on this host, name of the network in which it is called `cloud`)."""
    name = f"visant-updates-{os.getpid()}"
    label = f"com.docker.compose.project=vc{os.getpid()}"  # found by leftovers.py
    docker("network", "create", "--label", label, name)
    docker(
        "run", "--detach", "--label", label, "--name", name, "--network", name, "--network-alias", "cloud",
        "--publish", "127.0.0.1::8000", "--env", "AUTH=open", "--env", "PORT=8000",
        "--env", "DATA_DIR=/var/lib/visant/cloud", f"visant/cloud:{PRODUCT}",
    )  # fmt: skip
    port = docker("port", name, "8000/tcp").splitlines()[0].rsplit(":", 1)[1]
    wait_for(
        lambda: docker("inspect", "--format", "{{.State.Health.Status}}", name) == "healthy", 60, "the cloud to start"
    )
    yield f"http://127.0.0.1:{port}", name
    docker("rm", "--force", "--volumes", name)
    docker("network", "rm", name)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_trigger_is_lost_while_a_device_goes_through_a_bad_and_a_good_release(
    shop: Shop,
    website: Website,
    cloud: tuple[str, str],
    tmp_path: Path,
    free_port: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, network = cloud
    shop.real_release(ONE_ZERO)
    # It runs, its healthcheck passes, and after a while it is gone.
    shop.real_release(
        ONE_ONE, uploader=('ENTRYPOINT ["timeout", "-s", "KILL", "12", "visant-uploader"]', 'CMD ["run"]')
    )
    shop.real_release(ONE_TWO)
    host = Host(root=tmp_path / "device", project=f"vt{os.getpid()}", url=website.url, signers=signers(shop.key))
    host.configure(
        DEVICE_ID="EMULATED-1", API_URL="http://cloud:8000", CAMERA_SOURCE="fake", CAMERA_PORT=str(free_port),
        NO_PROXY="cloud", TELEMETRY_INTERVAL="5", UPDATE_SETTLE="45", UPDATE_START_TIMEOUT="120",
    )  # fmt: skip
    (host.root / "secrets").mkdir()
    (host.root / "compose.override.yaml").write_text(
        "services:\n  connector: {networks: [site]}\n  uploader: {networks: [site]}\n"
        f"networks:\n  site: {{external: true, name: {network}}}\n"
    )
    try:
        host.install(ONE_ZERO, UPDATE_SOAK="10", UPDATE_WINDOW="0")
        shop.offer(ONE_ONE, host.channel)
        with Watcher(free_port) as watcher, Traffic(url) as traffic:
            wait_for(lambda: len(traffic.rounds) > 0, 240, "the first round of triggers")
            with running(host) as service:  # what systemd would have started; its check finds 1.1
                wait_for(lambda: host.history()[-1]["result"] == "taken_back", 240, "the bad release to be taken back")
                host.assert_runs(ONE_ZERO)
                assert host.quarantined() == [ONE_ONE]
                wait_for(
                    lambda: shown_by_the_cloud(url)[0].get("result") == "taken_back", 60, "the cloud to know of it"
                )
                told, page = shown_by_the_cloud(url)
                assert (told["version"], told["quarantined_releases"]) == (ONE_ZERO, [ONE_ONE])
                assert ONE_ONE in page
                assert told["reason"] in html.unescape(page)
                after_bad = len(traffic.rounds)
                shop.offer(ONE_TWO, host.channel)
                host.update()  # as the timer would
                host.assert_runs(ONE_TWO)
                wait_for(lambda: service.said(f"visantctl of {ONE_TWO} takes over"), 60, "the new visantctl")
                wait_for(lambda: shown_by_the_cloud(url)[0].get("version") == ONE_TWO, 60, "the cloud to know of it")
                rounds = len(traffic.rounds)
                wait_for(lambda: len(traffic.rounds) > rounds + 1, 180, "a round on the new release")
                traffic.finish()  # before the service stops everything
                switches = sorted(watcher.gaps)[-3:]
    finally:
        host.remove()
    summary = {key: traffic.total(key) for key in ("triggers", "captured", "failed", "expired", "unaccounted")}
    with capsys.disabled():  # the downtime is a result, not only a help when it fails
        print(json.dumps({**summary, "longest_gaps_without_a_picture_s": [round(gap, 1) for gap in switches]}))
    assert summary["unaccounted"] == 0
    # What was triggered while the bad release was tried may be too late to be worth a picture, and then says so.
    assert summary["captured"] + summary["expired"] == summary["triggers"] > 40
    assert [one["captured"] for one in traffic.rounds[after_bad + 1 :]] == [20] * (len(traffic.rounds) - after_bad - 1)
    assert [one["exit"] for one in traffic.rounds] == [0] * len(traffic.rounds)
    taken_back = next(event for event in host.history() if event["result"] == "taken_back")
    assert taken_back["seconds"] < 60
