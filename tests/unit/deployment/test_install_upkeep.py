"""How long a hang may last before the host is restarted; a run of the installer that changes nothing writes nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

INSTALL = Path(__file__).resolve().parents[3] / "deployment/install"


def bash(root: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run `script` with the installer's functions; what it remembers lies below `root`."""
    parts = "\n".join(f". {INSTALL}/{part}.sh" for part in ("say", "memory", "upkeep"))
    words = ["bash", "-euc", f"ROOT={root} VISANT_WATCHDOG={root}/watchdog\n{parts}\n{script}"]
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [("0", "60"), ("15", "15"), ("16", "16"), ("600", "60"), (None, "15"), ("", "15"), ("odd", "15")],
)
def test_a_hang_may_last_a_minute_where_the_driver_takes_that_and_never_longer_than_it_takes(
    tmp_path: Path, limit: str | None, seconds: str
) -> None:
    if limit is not None:
        (tmp_path / "watchdog").mkdir()
        (tmp_path / "watchdog/max_timeout").write_text(limit)
    assert bash(tmp_path, "watchdog_seconds").stdout == f"{seconds}\n"


def test_a_file_of_ours_is_written_once_and_taken_for_ours_only_where_it_was_not_there(tmp_path: Path) -> None:
    script = f"if write_owned {tmp_path}/d/ours.conf <<<text; then echo written; else echo same; fi"
    assert bash(tmp_path, f"{script}; {script}").stdout.split() == ["written", "same"]
    assert (tmp_path / "d/ours.conf").read_text() == "text\n"
    (tmp_path / "d/theirs.conf").write_text("theirs\n")
    bash(tmp_path, f"write_owned {tmp_path}/d/theirs.conf <<<text")
    remembered = (tmp_path / "state/install/added").read_text()
    assert f"file {tmp_path}/d/ours.conf" in remembered
    assert f"folder {tmp_path}/d" in remembered
    assert "theirs.conf" not in remembered
