"""What a person may read without sudo, they can: as another user than root, with the real command line."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "deployment/bin/visantctl"
NOBODY = 65534


@pytest.fixture
def host() -> Iterator[dict[str, str]]:
    """A device whose settings and memory are root's; its systemctl and journalctl say what they were asked."""
    with tempfile.TemporaryDirectory(prefix="visant-") as folder:  # pytest's own is closed to other users
        Path(folder).chmod(0o755)
        yield made(Path(folder))


def made(tmp_path: Path) -> dict[str, str]:
    release = tmp_path / "releases/2.0.0"
    release.mkdir(parents=True)
    (release / "release.json").write_text("{}")
    (tmp_path / "current").symlink_to("releases/2.0.0")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/update.json").write_text('{"at": "2026-11-29T02:00:00Z", "result": "updated"}')
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / ".env.device").write_text("DEVICE_ID=A1\n")
    (tmp_path / ".env.device").chmod(0o600)
    (tmp_path / "bin").mkdir()
    for name, said in (("systemctl", "echo active"), ("journalctl", 'echo "$@"'), ("docker", "exit 1")):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{said}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "VISANT_ROOT": str(tmp_path)}


def ctl(host: dict[str, str], *words: str) -> str:
    user = NOBODY if os.geteuid() == 0 else None
    python = sys.executable if os.geteuid() != 0 else "/usr/bin/python3"
    done = subprocess.run(
        [python, str(SCRIPT), *words], env=host, user=user, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_status_says_what_everybody_may_know(host: dict[str, str]) -> None:
    assert ctl(host, "status").splitlines() == [
        "visant-device-v2.service is active",
        "version    2.0.0   previous -",
        "last       2026-11-29T02:00:00Z updated",
        "more       sudo visantctl status",
    ]


def test_history_is_what_happened_here(host: dict[str, str]) -> None:
    event = '{"at": "2026-11-29T02:00:00Z", "from": "1.0.0", "result": "updated", "to": "2.0.0"}\n'
    (Path(host["VISANT_ROOT"]) / "shared/history.jsonl").write_text(event)
    assert ctl(host, "history") == "2026-11-29T02:00:00Z  updated  1.0.0 -> 2.0.0\n"


def test_logs_come_from_the_journal_which_the_group_adm_may_read(host: dict[str, str]) -> None:
    unit = "--unit=visant-device-v2.service"
    assert ctl(host, "logs", "-f").split() == [unit, "--lines=500", "--no-hostname", "--no-pager", "--follow"]
    assert ctl(host, "logs", "-n", "5", "connector", "redis").split() == [
        unit, "--lines=5", "--no-hostname", "--no-pager", "--identifier=connector", "--identifier=redis",
    ]  # fmt: skip
