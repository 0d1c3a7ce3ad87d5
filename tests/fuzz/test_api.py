"""Every route of the API, called with what fits its description and what does not, by who may call and who may not.

Schemathesis makes the calls out of the description, and holds that each answer is one that the description names:
status, media type, headers and fields; that nothing which it forbids is taken, and all that it allows; that no method,
and no caller, gets in that it does not name.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.conftest import Fuzzed
from visant_cloud.app import create_app

CONFIG = Path(__file__).with_name("schemathesis.toml")
EVERYTHING = ("--phases", "coverage,fuzzing,stateful")
ONE_OF_EACH = ("--phases", "coverage")
RUNS = {
    "sqlite program": EVERYTHING,
    "sqlite device": (*EVERYTHING, "--include-tag", "device"),
    # who comes with a session is still there when the check takes away a token
    "sqlite person": (
        *(*ONE_OF_EACH, "--include-tag", "operator", "--mode", "positive"),
        *("--exclude-checks", "ignored_auth"),
    ),
    "sqlite nobody": (*ONE_OF_EACH, "--mode", "positive"),
    "postgresql program": (*EVERYTHING, "--mode", "positive"),
    "postgresql device": (*EVERYTHING, "--include-tag", "device", "--mode", "positive"),
}
"""Engine and caller -> what is tried. Who may do most gets most."""
SHORTER = {"postgresql program": (*ONE_OF_EACH, "--mode", "positive")}
"""In the short form: what comes by combination and by a sequence of calls is the same on both engines."""


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The API's description, as `/openapi.json` has it."""
    app = create_app(None)  # type: ignore[arg-type] # describes itself without a cloud
    path = tmp_path_factory.mktemp("description") / "openapi.json"
    path.write_text(json.dumps(app.openapi()))
    return path


def credentials(cloud: Fuzzed, caller: str) -> dict[str, str]:
    """The headers with which a caller comes."""
    return {
        "program": {"Authorization": f"Bearer {cloud.program}"},
        "device": {"Authorization": f"Bearer {cloud.device}"},
        "person": cloud.session,
        "nobody": {},
    }[caller]


@pytest.mark.parametrize("run", RUNS)
def test_each_answer_is_one_that_the_description_names(
    run: str, fuzzed: Callable[[str], Fuzzed], description: Path, short: bool, tmp_path: Path
) -> None:
    engine, caller = run.split()
    cloud = fuzzed(engine)
    headers = [f"--header={name}: {value}" for name, value in credentials(cloud, caller).items()]
    examples = "8" if short else "100"
    words = ["--config-file", str(CONFIG), "run", str(description), "--url", cloud.url, "--max-examples", examples]
    phases = {**RUNS, **SHORTER}[run] if short else RUNS[run]
    program = Path(sys.executable).with_name("st")
    done = subprocess.run(
        [program, *words, *headers, *phases, "--continue-on-failure", "--output-sanitize", "false"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    assert cloud.process.popen.poll() is None
    log = cloud.process.log.read_text()
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3000]
