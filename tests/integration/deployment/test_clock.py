"""NTP is blocked and the device's clock is a year behind: it comes from the cloud, or stays.

The clock is libfaketime's, in a process of its own; the machine's is never set. `set_to` writes the file that this
process's clock (and the connector's beside it) is read from.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from emulation.processes import Child, clean_environment
from emulation.stack import Cloud, Device
from emulation.wait import until
from tests.faults.fake_clock import FakeClock
from tests.faults.scenario import Skipped
from tests.support.hard_network import Authority, ConnectProxy, TlsFront

TREE = Path(__file__).resolve().parents[3]
YEAR = 365 * 86400
NEAR = 20
"""Seconds: whole ones in the Date, and what a busy machine lets pass between it and its use. To tell from 600."""
MADE_AT = "2026-01-01T00:00:00+00:00"
PROGRAM = """
import json, os, sys, time
from datetime import datetime
from visantctl.network import clock
from visantctl.errors import Problem

url, given, made_at, offset_file = json.loads(sys.argv[1])
calls = []

def set_to(epoch):
    calls.append(epoch)
    behind = float(open(offset_file).read())
    with open(offset_file + ".new", "w") as draft:
        draft.write(f"{behind + epoch - time.time():+f}\\n")
    os.replace(offset_file + ".new", offset_file)

try:
    clock.look(url, given, dates=True)
    strict = "accepted"
except Exception as error:
    strict = str(error)
try:
    said, believed = clock.correct(url, given, datetime.fromisoformat(made_at), set_to), True
except Problem as problem:
    said, believed = str(problem), False
now, at = time.time(), time.monotonic()
print(json.dumps({"strict": strict, "said": said, "believed": believed, "calls": calls, "now": now, "at": at}))
"""


@dataclass
class Result:
    strict: str
    said: str
    believed: bool
    calls: list[float]
    now: float
    at: float
    """CLOCK_MONOTONIC when it was `now`; that clock is left alone, and is the same in every process."""

    @property
    def off(self) -> float:
        """Seconds by which the device's clock is ahead of the true time afterwards."""
        return self.now - (time.time() - (time.monotonic() - self.at))


@pytest.fixture
def clock(tmp_path: Path) -> FakeClock:
    try:
        clock = FakeClock(tmp_path / "clock")
    except Skipped as reason:
        pytest.skip(str(reason))
    clock.jump(f"{-YEAR}")
    return clock


Correct = Callable[..., Result]


@pytest.fixture
def correct(tmp_path: Path, clock: FakeClock) -> Correct:
    def run(url: str, made_at: str = MADE_AT, **given: str) -> Result:
        child = Child("clock", [], clean_environment(PYTHONPATH=str(TREE / "deployment")), _Nobody())
        clock.wear(child)
        words = json.dumps([url, given, made_at, str(tmp_path / "clock/offset")])
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, words],
            env=child.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return Result(**json.loads(done.stdout))

    return run


class _Nobody:
    def line(self, name: str, text: str) -> None:
        """Nothing."""


def says(epoch: float | None = None, *, ago: float = 0, **fields: str) -> Callable[[], bytes]:
    """A server that answers 404 with this Date, else with what it was `ago` seconds before the answer."""

    def answer() -> bytes:
        date = formatdate(time.time() - ago if epoch is None else epoch, usegmt=True)
        lines = {"Date": date, "Content-Length": "0", "Connection": "close"} | fields
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        return f"HTTP/1.1 404 Not Found\r\n{head}\r\n".encode()

    return answer


def test_a_year_behind_tls_refuses_and_the_clock_is_set_by_the_cloud(authority: Authority, correct: Correct) -> None:
    with TlsFront(authority.certificate("now"), says()) as front:
        found = correct(front.url, SSL_CERT_FILE=str(authority.file))
    assert "not yet valid" in found.strict
    assert found.believed, found.said
    assert "behind; set to" in found.said
    assert len(found.calls) == 1
    assert abs(found.off) < NEAR


def test_through_a_proxy_as_well(authority: Authority, correct: Correct) -> None:
    with ConnectProxy("u", "p") as proxy, TlsFront(authority.certificate("proxied"), says()) as front:
        found = correct(front.url, SSL_CERT_FILE=str(authority.file), HTTPS_PROXY=proxy.url)
    assert found.believed, found.said
    assert abs(found.off) < NEAR


def test_a_clock_that_is_right_is_left_alone(authority: Authority, correct: Correct, clock: FakeClock) -> None:
    clock.jump("+0")
    with TlsFront(authority.certificate("right"), says()) as front:
        found = correct(front.url, SSL_CERT_FILE=str(authority.file))
    assert found.strict == "accepted"
    assert found.calls == []
    assert "right within" in found.said


def test_an_unknown_authority_or_another_name_sets_nothing(
    tmp_path: Path, authority: Authority, correct: Correct
) -> None:
    other = Authority(tmp_path / "other")
    with TlsFront(other.certificate("unknown"), says()) as front:
        found = correct(front.url, SSL_CERT_FILE=str(authority.file))
    assert not found.believed
    assert found.calls == []
    assert "the clock stays as it is" in found.said
    with TlsFront(authority.certificate("elsewhere", address="127.0.0.2"), says()) as front:
        found = correct(front.url, SSL_CERT_FILE=str(authority.file))
    assert not found.believed
    assert found.calls == []


def test_a_stolen_expired_certificate_can_set_no_time_that_lasts(authority: Authority, correct: Correct) -> None:
    """It expired half a year ago: neither the true time nor one after its end is accepted in the second look."""
    with TlsFront(authority.certificate("stolen", when="-300d", days=90), says()) as front:
        found = correct(front.url, SSL_CERT_FILE=str(authority.file))
    assert not found.believed
    assert "set back" in found.said
    assert len(found.calls) == 2
    assert abs(found.off + YEAR) < NEAR, "the clock is not what it was"


def test_with_it_a_time_before_the_release_was_made_is_not_believed(authority: Authority, correct: Correct) -> None:
    made_at = datetime.fromtimestamp(time.time() - 100 * 86400, UTC).isoformat()
    with TlsFront(authority.certificate("old", when="-300d", days=90), says(time.time() - 280 * 86400)) as front:
        found = correct(front.url, made_at=made_at, SSL_CERT_FILE=str(authority.file))
    assert not found.believed
    assert found.calls == []
    assert "not believed" in found.said


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"Date": ""}, "without its time"),
        ({"Date": "yesterday"}, "without its time"),
        ({"Date": "Fri, 01 Jan 9999 00:00:00 GMT"}, "not believed"),
        ({"Date": "Thu, 01 Jan 1970 00:00:00 GMT"}, "not believed"),
        ({"Age": "much"}, "without its time"),
    ],
)
def test_an_answer_that_cannot_be_true_sets_nothing(
    authority: Authority, correct: Correct, fields: dict[str, Any], word: str
) -> None:
    with TlsFront(authority.certificate("odd"), says(**fields)) as front:
        found = correct(front.url, SSL_CERT_FILE=str(authority.file))
    assert not found.believed
    assert word in found.said
    assert found.calls == []


def test_an_answer_that_a_proxy_kept_is_as_old_as_it_says(authority: Authority, correct: Correct) -> None:
    with TlsFront(authority.certificate("kept"), says(ago=600, Age="600")) as front:
        found = correct(front.url, SSL_CERT_FILE=str(authority.file))
    assert found.believed, found.said
    assert abs(found.off) < NEAR


def test_a_cloud_that_speaks_plain_http_is_believed_within_bounds(correct: Correct) -> None:
    with TlsFront(None, says()) as front:
        found = correct(front.url)
        assert found.believed, found.said
        assert abs(found.off) < NEAR
    with TlsFront(None, says(time.time() - 700 * 86400)) as front:
        assert not correct(front.url).believed


def test_nobody_there(correct: Correct) -> None:
    found = correct("https://127.0.0.1:9")
    assert not found.believed
    assert found.calls == []
    assert "does not answer" in found.said


async def test_a_device_a_year_behind_gets_its_stream_once_the_clock_is_corrected(
    tmp_path: Path, authority: Authority, cloud: Cloud, lines: Any, correct: Correct, clock: FakeClock
) -> None:
    with TlsFront(authority.certificate("stream"), cloud.port) as front:
        device = Device("LATE-1", tmp_path / "device", front.url, lines, {"SSL_CERT_FILE": str(authority.file)})
        clock.wear(device.connector)
        await device.redis.start()
        await device.connector.start()
        try:

            async def complains() -> bool:
                return any("not yet valid" in line and "clock says" in line for line in lines.all)

            await until("the connector refuses the certificate", complains, within=60)
            assert not device.stream_confirmed()
            found = correct(front.url, SSL_CERT_FILE=str(authority.file))
            assert found.believed, found.said

            async def confirmed() -> bool:
                return device.stream_confirmed()

            await until("the stream", confirmed, within=60)
        finally:
            await device.connector.stop()
            await device.redis.stop()
