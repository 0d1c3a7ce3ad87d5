"""Whoever is at the other end is gone without a word, while all of an upload lies in the kernel's hands."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cable import Cable, NoCable
from tests.support.hard_network import Authority
from tests.unit.uploader.conftest import Make
from visant_contract.errors import Retryable
from visant_runtime.clock import Clock
from visant_uploader.counters import Counters
from visant_uploader.delivery import upload_limits
from visant_uploader.delivery.cloud_client import CloudClient
from visant_uploader.settings import UploaderSettings
from visant_uploader.spool.file_format import Outcome, decode, encode

SILENCE = 2.0
SLACK = 6.0
"""Seconds for the kernel's last look, which comes with a retransmission, and for a busy machine."""
SMALL = b"\xff\xd8" + bytes(4_000) + b"\xff\xd9"
"""The kernel takes all of it at once, whether anybody is there or not."""


@pytest.fixture
def cable() -> Iterator[Cable]:
    try:
        made = Cable()
    except NoCable as error:
        pytest.skip(str(error))
    with made:
        yield made


@pytest.fixture
def ports(cable: Cable, tmp_path: Path) -> Iterator[dict[str, int]]:
    certificate = Authority(tmp_path / "authority").certificate("cloud", address=cable.there)
    command = cable.inside_of_it(sys.executable, "-m", "tests.support.vanishing_peer", cable.there, str(certificate))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as peer:
        assert peer.stdout is not None
        yield json.loads(peer.stdout.readline())
        peer.kill()


@pytest.mark.parametrize("way", ["direct", "direct, TLS", "proxy", "proxy, TLS"])
async def test_it_is_noticed_within_the_silence_that_is_allowed_for(
    cable: Cable, ports: dict[str, int], way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_limits, "BEHIND_A_PROXY", 64.0)  # an answer may be waited for: a quarter of an hour
    for key in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(key, raising=False)
        monkeypatch.delenv(key.lower(), raising=False)
    if way.startswith("proxy"):
        monkeypatch.setenv("HTTPS_PROXY" if "TLS" in way else "HTTP_PROXY", f"http://{cable.there}:{ports['proxy']}")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority/ca.pem"))
    url = f"https://{cable.there}:{ports['tls']}" if "TLS" in way else f"http://{cable.there}:{ports['cloud']}"
    settings = UploaderSettings(device_id="FLOOR1", api_url=url, upload_timeout=SILENCE)
    client = CloudClient(settings, Clock(), counters=Counters(), device_version="2.0.0")
    try:
        assert await client.send_picture(_outcome(1), Make.noon, Make.time(), raw=False) == "1"
        cable.pull()
        began = time.monotonic()
        with pytest.raises(Retryable) as caught:
            await client.send_picture(_outcome(2), Make.noon, Make.time(), raw=False)
        took = time.monotonic() - began
    finally:
        await client.close()
    assert caught.value.endpoint
    assert "does not answer" in caught.value.reason
    assert SILENCE / 2 < took < SILENCE + SLACK


def _outcome(number: int) -> Outcome:
    return decode(b"".join(encode(Make.picture(f"t-{number}"), SMALL)[1]))
