"""The scripts' doors: wrong flags, no terminal, a host that does not fit. What they do on a host: tests/pi_host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

DEPLOYMENT = Path(__file__).resolve().parents[3] / "deployment"
FITTING = ("--device-id", "A1", "--api-url", "http://127.0.0.1:9", "--dry-run")


def run(script: str, *flags: str, root: Path, stdin: str = "", **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", str(DEPLOYMENT / script), *flags],
        input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
        env={**os.environ, "VISANT_ROOT": str(root / "visant"), "VISANT_UNIT_DIR": str(root / "units"), **environment},
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("script", "flags", "word"),
    [
        ("install_device.sh", ("--no-such",), "--no-such"),
        ("install_device.sh", ("--device-id",), "needs a value"),
        ("install_device.sh", ("--branch", "feature"), "main or dev"),
        ("install_device.sh", (), "--api-url is needed"),
        ("install_device.sh", (*FITTING, "--replace"), "belongs to --enrol"),
        ("install_device.sh", (*FITTING, "--from", "/no/such.tar"), "/no/such.tar"),
        ("install_device.sh", (*FITTING, "--enrol", "A", "--token-file", "-"), "give one"),
        ("install_device.sh", (*FITTING, "--enrol"), "--enrol needs a value"),
        ("install_device.sh", (*FITTING, "--enrol-file", "/no/such"), "/no/such: no such file"),
        ("install_device.sh", (*FITTING, "--channel", "Not a word"), "--channel Not a word"),
        ("install_device.sh", ("--device-id", "two words", "--api-url", "http://c.example"), "two words: 1 to 64"),
        ("install_device.sh", ("--device-id", "A", "--api-url", "c.example"), "--api-url c.example"),
        ("uninstall.sh", ("--everything",), "--everything"),
        ("addwifi.sh", ("--fast",), "--fast"),
        ("addwifi.sh", ("--priority", "high", "Net"), "from 0 to 999"),
    ],
)
def test_a_wrong_call_ends_in_one_line_with_code_2_and_touches_nothing(
    tmp_path: Path, script: str, flags: tuple[str, ...], word: str
) -> None:
    code, out = run(script, *flags, root=tmp_path)
    assert code == 2, out
    assert word in out
    assert len(out.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("script", ["install_device.sh", "uninstall.sh", "addwifi.sh"])
def test_help_is_given_to_anybody(tmp_path: Path, script: str) -> None:
    code, out = run(script, "--help", root=tmp_path)
    assert code == 0
    assert "--" in out


def test_an_unknown_system_and_a_missing_release_are_named_before_anything_is_changed(tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    release.write_text('ID=debian\nVERSION_CODENAME="buster"\n')
    code, out = run("install_device.sh", *FITTING, root=tmp_path, VISANT_OS_RELEASE=str(release))
    assert code == 1
    assert "debian buster" in out
    assert "--from RELEASE.TAR" in out
    assert "nothing was changed" in out
    assert [one.name for one in tmp_path.iterdir()] == ["os-release"]


def test_a_full_card_is_named(tmp_path: Path) -> None:
    code, out = run("install_device.sh", *FITTING, root=tmp_path, VISANT_MIN_FREE_MB="99999999999")
    assert code == 1
    assert "use a larger card" in out


def test_settings_in_place_need_no_flags(tmp_path: Path) -> None:
    (tmp_path / "visant").mkdir()
    (tmp_path / "visant/.env.device").write_text("DEVICE_ID=A1\nAPI_URL='http://127.0.0.1:9'\n")
    _, out = run("install_device.sh", "--dry-run", root=tmp_path)
    assert "http://127.0.0.1:9 cannot be reached" in out
    assert "--api-url is needed" not in out


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (("--tailscale-key",), "needs a value"),
        (("--tailscale-key", "neither"), "neither a key (tskey-...) nor a file"),
        (("--tailscale-key", "-", "--token-file", "-"), "only one secret"),
        (("--tailscale-key", "-", "--skip-tailscale"), "give one"),
        (("--hotspot-open", "--skip-wifi"), "give one"),
    ],
)
def test_flags_for_ways_in_that_contradict_each_other(tmp_path: Path, flags: tuple[str, ...], word: str) -> None:
    code, out = run("install_device.sh", *FITTING, *flags, root=tmp_path)
    assert code == 2, out
    assert word in out
    assert len(out.strip().splitlines()) == 1


def test_a_key_on_the_command_line_is_taken_off_it_and_not_repeated(tmp_path: Path) -> None:
    _, out = run("install_device.sh", *FITTING, "--tailscale-key", "tskey-auth-s3cret", root=tmp_path)
    assert "Checking this host" in out
    assert "s3cret" not in out


def test_prepare_for_clone_is_the_old_name_of_prepare_clone(tmp_path: Path) -> None:
    (tmp_path / "visantctl").write_text('#!/bin/sh\necho visantctl "$@"\n')
    (tmp_path / "visantctl").chmod(0o755)
    code, out = run("prepare_for_clone.sh", "--yes", root=tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (code, out) == (0, "visantctl prepare-clone --yes\n")
