"""Tailscale by key, against a stand-in of its command line (tests/support/tailscale-stand-in)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from visantctl import cli
from visantctl.errors import Misconfigured, Problem, Unreachable
from visantctl.network import remote_access

STAND_IN = Path(__file__).resolve().parents[2] / "support/tailscale-stand-in"


@pytest.fixture
def tailnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stand-in remembers."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/tailscale").symlink_to(STAND_IN)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("TAILSCALE_STAND_IN", str(tmp_path / "state.json"))
    return tmp_path / "state.json"


def test_a_device_joins_under_its_name_and_takes_and_offers_no_routes(tailnet: Path) -> None:
    remote_access.join("visant-a1", "tskey-auth-abc")
    told = json.loads(tailnet.read_text())
    assert told["hostname"] == "visant-a1"
    assert (told["accept-routes"], told["accept-dns"], told["advertise-routes"]) == ("false", "false", "")
    assert told["advertise-exit-node"] == "false"
    assert remote_access.state()["BackendState"] == "Running"


def test_without_a_key_a_joined_device_is_set_right_again(tailnet: Path) -> None:
    with pytest.raises(Problem, match="not logged in"):
        remote_access.join("visant-a1", "")
    remote_access.join("visant-a1", "tskey-auth-abc")
    remote_access.join("visant-a2", "")
    assert json.loads(tailnet.read_text())["hostname"] == "visant-a2"


def test_a_refused_key_is_not_repeated_and_an_absent_server_may_be_tried_again(tailnet: Path) -> None:
    with pytest.raises(Problem, match="invalid key") as refused:
        remote_access.join("visant-a1", "tskey-bad-s3cret")
    assert not isinstance(refused.value, Unreachable)
    assert "s3cret" not in str(refused.value)
    with pytest.raises(Unreachable):
        remote_access.join("visant-a1", "tskey-away-1")


@pytest.mark.parametrize("key", ["", "two words", "short", "tskey-ä-12345"])
def test_what_is_no_key_is_refused_before_tailscale_sees_it(key: str) -> None:
    with pytest.raises(Misconfigured, match="auth key"):
        remote_access.checked_key(key)


def test_an_absent_tailscale_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problem, match="not installed"):
        remote_access.join("visant-a1", "tskey-auth-abc")


@pytest.mark.skipif(os.geteuid() != 0, reason="the command is root's")
def test_the_command_reads_the_key_from_a_file_and_prints_none(
    tailnet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VISANT_ROOT", str(tmp_path))
    assert cli.main(["remote", "setup", "--key-file", "/no/such"]) == 2
    assert "DEVICE_ID is not set" in capsys.readouterr().err
    (tmp_path / ".env.device").write_text("DEVICE_ID=Hall_3\n")
    assert cli.main(["remote", "setup", "--key-file", "/no/such"]) == 2
    assert "/no/such cannot be read" in capsys.readouterr().err
    (tmp_path / "key").write_text("tskey-auth-s3cret\n")
    assert cli.main(["remote", "setup", "--key-file", str(tmp_path / "key")]) == 0
    said = capsys.readouterr()
    assert "visant-hall-3" in said.out
    assert "s3cret" not in said.out + said.err
    assert cli.main(["remote", "status"]) == 0
    assert "Running: visant-hall-3" in capsys.readouterr().out
