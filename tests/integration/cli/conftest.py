"""One real cloud for all tests of `visant`, two devices that speak the wire, and the program as a call."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.cloud_process import Process
from tests.support.wire_device import Answer, WireDevice
from visant_cli.__main__ import main

FAILED = {"status": "failed", "reason": "camera_absent", "detail": "no /dev/video0"}


@dataclass(frozen=True)
class Place:
    """A cloud and a token of its operators."""

    process: Process
    token: str

    @property
    def url(self) -> str:
        return self.process.url


@dataclass(frozen=True)
class Said:
    """How a call of `visant` ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Of NDJSON."""
        return [json.loads(line) for line in self.out.splitlines()]


Visant = Callable[..., Said]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A cloud that asks for tokens, with the devices CAM1, whose pictures come, and CAM2, whose camera is absent."""
    process = Process(tmp_path_factory.mktemp("cloud"), AUTH="required", ALERT_ALLOW_PRIVATE="1")
    process.start()
    try:
        token = process.run("create-token", "tests of visant").stdout.strip().splitlines()[-1]
        yield Place(process, token)
    finally:
        process.end()


@pytest.fixture
def visant(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Visant:
    """`visant WORDS...` against the cloud of `place`, with no profile."""
    monkeypatch.setenv("VISANT_CONFIG", str(tmp_path / "visant/profiles.json"))
    monkeypatch.setenv("VISANT_URL", place.url)
    monkeypatch.setenv("VISANT_TOKEN", place.token)
    for name in ("VISANT_PROFILE", "VISANT_TOKEN_FILE", "VISANT_ORGANISATION"):
        monkeypatch.delenv(name, raising=False)

    def call(*words: object) -> Said:
        capsys.readouterr()
        status = main([str(word) for word in words])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        assert place.token not in said.out + said.err
        return Said(status, said.out, said.err)

    return call


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    """A small picture."""
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 120, 30)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture(scope="session")
def cameras(place: Place, jpeg: bytes) -> Iterator[None]:
    """CAM1 takes pictures, and settings but for `exposure`; CAM2 has no camera."""

    def cam1(command: dict[str, Any]) -> Answer:
        if command["cmd"] == "capture":
            return jpeg
        if "exposure" in command["config"]:
            return {"status": "failed", "reason": "config_refused", "detail": "exposure: 1 to 5000"}
        return {"status": "executed"}

    tokens = [place.process.run("create-device", name).stdout.strip().splitlines()[-1] for name in ("CAM1", "CAM2")]
    with (
        WireDevice(place.url, "CAM1", tokens[0], cam1),
        WireDevice(place.url, "CAM2", tokens[1], lambda command: FAILED),
    ):
        yield
