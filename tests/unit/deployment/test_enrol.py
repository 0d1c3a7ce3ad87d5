"""visantctl enrol, against a stand-in of the cloud's answer."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from visantctl import cli
from visantctl.errors import Refused
from visantctl.fleet import enrolment
from visantctl.host.settings import Settings

CODE = "ABCDE-FGHJK"


class StandInCloud:
    """Gives each code one token."""

    def __init__(self) -> None:
        self.used: list[str] = []

    def exchange(self, settings: Settings, api_url: str, code: str, *, replace: bool) -> tuple[str, str]:
        if code in self.used:
            raise Refused("not enrolled (403): The enrolment code was used already")
        self.used.append(code)
        return "A1", f"vd_token{len(self.used)}"


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandInCloud:
    cloud = StandInCloud()
    monkeypatch.setattr(enrolment, "exchange", cloud.exchange)
    monkeypatch.setenv("VISANT_ROOT", str(tmp_path))
    (tmp_path / ".env.device").write_text("API_URL=https://c.example\n")
    return cloud


def enrol(monkeypatch: pytest.MonkeyPatch, stdin: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    return cli.main(["enrol"])


def test_the_code_comes_by_a_pipe_and_the_same_again_is_no_mistake(
    cloud: StandInCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enrol(monkeypatch, f" {CODE}\r\n") == 0
    assert cloud.used == [CODE]
    assert (tmp_path / "secrets/device_token").read_text() == "vd_token1\n"
    assert "DEVICE_ID=A1" in (tmp_path / ".env.device").read_text()
    assert enrol(monkeypatch, CODE) == 0
    out, err = capsys.readouterr()
    assert "used by this device already" in out
    assert "vd_token" not in out + err + (tmp_path / "state/enrolled.json").read_text()
    assert CODE not in out + err + (tmp_path / "state/enrolled.json").read_text()


def test_a_token_that_was_lost_since_is_no_reason_to_call_the_code_used_here(
    cloud: StandInCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enrol(monkeypatch, CODE) == 0
    (tmp_path / "secrets/device_token").unlink()
    assert enrol(monkeypatch, CODE) != 0
    assert "used already" in capsys.readouterr().err
    assert enrol(monkeypatch, "") != 0
    assert "no enrolment code was given" in capsys.readouterr().err
