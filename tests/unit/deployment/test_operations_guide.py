"""OPERATIONS.md names only what there is, and every reason a trigger can fail for."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from visantctl import cli
from visantctl.host import env_file

from visant_contract.outcome import Reason

TREE = Path(__file__).resolve().parents[3]
GUIDE = (TREE / "deployment/OPERATIONS.md").read_text()
SHOWN = sorted(
    set(re.findall(r"`((?:sudo )?visantctl [^`]+)`", GUIDE))
    | {line.strip() for line in re.findall(r"^    (.*visantctl .*)$", GUIDE, re.MULTILINE)}
)


def test_every_reason_has_its_remedy_here() -> None:
    told = set(re.findall(r"^\| `([a-z_0-9]+)` \|", GUIDE, re.MULTILINE))
    assert told == {reason.value for reason in Reason}
    wire = (TREE / "docs/wire.md").read_text().partition("### Reasons")[2].partition("\n## ")[0]
    assert told == set(re.findall(r"^\| `([a-z_0-9]+)` \|", wire, re.MULTILINE))


@pytest.mark.parametrize("command", SHOWN)
def test_each_command_is_one_of_visantctl(command: str) -> None:
    words = shlex.split(command.removeprefix("sudo "))[1:]
    assert words[0] in cli.names()
    cli.parser().parse_args(words)  # ends the test where it does not take them


def test_settings_that_it_names_exist() -> None:
    known = env_file.known_keys((TREE / ".env.device.example").read_text())
    named = set(re.findall(r"\b(?:CAMERA|CAPTURE|SPOOL|UPDATE|HTTPS?|NO|SSL)_[A-Z_]+\b", GUIDE)) - {"MAX_CAPTURE_BYTES"}
    assert named <= known


def test_the_units_it_names_exist() -> None:
    for name in set(re.findall(r"\bvisant-[a-z0-9-]+\.(?:timer|service)\b", GUIDE)):
        assert (TREE / "deployment/systemd" / name).is_file(), name
