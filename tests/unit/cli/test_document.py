"""docs/cli.md and the program say the same: commands, exit statuses, settings. And how little a start loads."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from visant_cli import app, rules
from visant_cli.__main__ import main
from visant_cli.failure import ExitStatus

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = (ROOT / "docs/cli.md").read_text()


def leaves(command: Any, name: str = "visant") -> Iterator[tuple[str, Any]]:
    """Each command of the tree with its whole name."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
    for word, one in (inner or {}).items():
        yield from leaves(one, f"{name} {word}")


TREE = dict(leaves(typer.main.get_command(app.app_for([]))))


def test_each_command_is_in_the_document_and_each_in_the_document_is_there() -> None:
    table = DOCUMENT.partition("## Commands")[2].partition("## Pictures")[0]
    assert set(re.findall(r"`(visant [a-z ]+)`", table)) == set(TREE)


def test_each_exit_status_is_in_the_document() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", DOCUMENT, re.MULTILINE)
    assert [int(number) for number, _ in rows] == [status.value for status in ExitStatus]


def test_each_setting_of_the_environment_is_in_the_document() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "cli/src").rglob("*.py"))
    used = set(re.findall(r"VISANT_[A-Z_]+", sources)) - {"VISANT_COMPLETE"}
    assert used == set(re.findall(r"VISANT_[A-Z_]+", DOCUMENT))


@pytest.mark.parametrize("name", TREE)
def test_each_command_has_help_and_every_common_option(name: str) -> None:
    command = TREE[name]
    assert command.help and command.help.strip()[0].isupper()
    if name != "visant completion":
        options = {option for one in command.params for option in one.opts}
        assert {"--json", "--profile", "--url", "--token-file", "--organisation", "--timeout"} <= options
        assert "--token" not in options  # every process of a machine reads arguments


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == ExitStatus.DONE
    assert (
        capsys.readouterr().out.strip()
        == tomllib.loads((ROOT / "cli/pyproject.toml").read_text())["project"]["version"]
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_completion_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == ExitStatus.DONE
    assert "_VISANT_COMPLETE" in capsys.readouterr().out
    assert main(["completion", "tcsh"]) == ExitStatus.USAGE


def test_completion_names_nouns_and_verbs(tmp_path: Path) -> None:
    """As bash asks for it, in a process: it must answer whatever the words before are."""
    program = Path(sys.executable).with_name("visant")
    environment = {
        "PATH": os.environ["PATH"],
        "_VISANT_COMPLETE": "complete_bash",
        "VISANT_CONFIG": str(tmp_path / "x"),
    }
    asked = {**environment, "COMP_WORDS": "visant devices s", "COMP_CWORD": "2"}
    answer = subprocess.run([program], env=asked, capture_output=True, text=True, timeout=120, check=False)
    assert set(answer.stdout.split()) == {"show", "set", "suspend"}, answer.stderr


def test_a_start_loads_what_its_command_needs_and_no_more(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "VISANT_CONFIG": str(tmp_path / "none.json")}
    words = [sys.executable, "-X", "importtime", "-m", "visant_cli", "profiles", "ls", "--json"]
    listed = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (listed.returncode, listed.stdout) == (0, "[]\n")
    loaded = {line.rpartition("|")[2].strip() for line in listed.stderr.splitlines()}
    assert "typer" in loaded
    assert not loaded & {"httpx", "rich.table", "rich.console", "ssl", "visant_cli.commands.devices"}


def test_a_rule_says_what_was_said_and_nothing_else() -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        ("every", "cron", "zone", "days", "windows", "daylight", "pauses", "jitter", "expires", "missed")
    )
    assert rules.rule(**{**nothing, "every": "15m"}) == {"interval_seconds": 900.0}
    said: dict[str, Any] = {
        "cron": "0 8 * * *",
        "zone": "Europe/Berlin",
        "days": "fri-mon",
        "windows": ["8:00-18:30", "22:00 - 02:00"],
        "daylight": "52.5, -13.4",
        "pauses": ["2026-12-24..2027-01-01", "2027-05-01"],
        "jitter": "1m",
        "expires": "10m",
        "missed": "skip",
    }
    assert rules.rule(**{**nothing, **said}) == {
        "cron": "0 8 * * *",
        "zone": "Europe/Berlin",
        "weekdays": ["mon", "fri", "sat", "sun"],
        "windows": [{"begin": "08:00", "end": "18:30"}, {"begin": "22:00", "end": "02:00"}],
        "daylight": {"latitude": 52.5, "longitude": -13.4},
        "pauses": [{"first": "2026-12-24", "last": "2027-01-01"}, {"first": "2027-05-01", "last": "2027-05-01"}],
        "jitter_seconds": 60.0,
        "expires_after_seconds": 600.0,
        "missed": "skip",
    }
    assert rules.weekdays("workdays") == ["mon", "tue", "wed", "thu", "fri"]
