"""A device whose service is disabled stays stopped, whatever the Engine started by itself. On a host: tests/pi_host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from visantctl import cli


@pytest.mark.parametrize(
    ("enabled", "active", "stopped"),
    [
        ("disabled", "inactive", True),
        ("masked", "inactive", True),
        ("disabled", "failed", True),
        ("enabled", "inactive", False),  # at a boot its own start is still to come
        ("enabled-runtime", "inactive", False),
        ("disabled", "active", False),  # started by hand
        ("disabled", "activating", False),
        ("", "", False),  # a systemd that says nothing
    ],
)
def test_only_what_nobody_wants_to_run_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enabled: str, active: str, stopped: bool
) -> None:
    listed = "camera\\trunning\\tUp 3 hours (healthy)\\n"
    stand_ins = tmp_path / "bin"
    stand_ins.mkdir()
    for name, text in (
        ("systemctl", f'case "$1" in is-enabled) echo "{enabled}" ;; is-active) echo "{active}" ;; esac'),
        (
            "docker",
            f'case "$1" in ps) printf "{listed}" ;; compose) echo "$@" >>{tmp_path}/told ;; esac',
        ),
    ):
        (stand_ins / name).write_text(f"#!/bin/sh\n{text}\n")
        (stand_ins / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{stand_ins}:/usr/bin:/bin")
    monkeypatch.setenv("VISANT_ROOT", str(tmp_path))
    monkeypatch.setenv("VISANT_UPDATE_LOG", str(tmp_path / "log"))
    (tmp_path / "state").mkdir()
    (tmp_path / "state/good.json").write_text(json.dumps({"version": "1.0.0"}))
    assert cli.main(["stop-if-disabled"]) == 0
    told = tmp_path / "told"
    assert (told.is_file() and told.read_text().strip().endswith(" stop")) == stopped
