"""Every command that a guide tells people to type is run, on a device that was installed as DEPLOYMENT.md says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.pi_host.cloud import Cloud
from tests.pi_host.conftest import NewPi
from tests.pi_host.guide_runs import RUNS, SAME_THING, Elsewhere, Run
from tests.pi_host.guides import shown
from tests.pi_host.pi import KIT, Pi
from tests.pi_host.release import TREE

HERE = Path(__file__).parent
COMMANDS = [command for command, run in RUNS.items() if isinstance(run, Run)]


@pytest.fixture(scope="module")
def reader(new_pi: NewPi) -> Pi:
    """Somebody's Pi, with nothing but what the guide names, and a stand-in for Tailscale."""
    pi = new_pi("FLOOR1", engine=True)
    pi.put(TREE / "tests/support/tailscale-stand-in", "/usr/local/bin/tailscale")
    return pi


def test_every_command_of_the_guides_is_run_somewhere() -> None:
    missing = [f"{one.guide}: {one.command}" for one in shown() if one.command not in RUNS]
    assert not missing, "\n".join(missing)
    needless = sorted(set(RUNS) - {one.command for one in shown()})
    assert not needless, needless
    for command, run in RUNS.items():
        if isinstance(run, Elsewhere):
            assert run.text in (HERE / run.file).read_text(encoding="utf-8"), command


@pytest.mark.parametrize("command", COMMANDS)
def test_it_does_what_the_guide_says(command: str, reader: Pi, cloud: Cloud) -> None:
    run = RUNS[command]
    assert isinstance(run, Run)
    words = command
    for example, real in SAME_THING.items():
        words = words.replace(example, real)
    code = cloud.enrol_code("FLOOR1", "--replace") if "{code}" in f"{words}{run.typed}" else ""
    words = words.replace("{code}", code).replace("{url}", cloud.url)
    if run.cloud:
        inside = ["docker", "exec", cloud.name, *shlex.split(words)]
        done = subprocess.run(inside, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
        said = done.stdout + done.stderr
        assert (done.returncode, bool(re.search(run.says, said, re.MULTILINE))) == (run.code, True), said
        return
    ended = f"timeout --signal=INT --kill-after=20 {run.seconds} " if run.seconds else ""
    script = f"cd {KIT}; {run.before}\n{ended}{words}"
    typed = (run.typed or "").replace("{code}", code)
    result = reader.sh(script, check=False, stdin=f"{typed}\n", terminal=run.terminal)
    if run.after:
        reader.sh(f"cd {KIT}; {run.after}")
    assert re.search(run.says, result.out, re.MULTILINE), result.out
    if not run.seconds:
        assert result.code == run.code, result.out
