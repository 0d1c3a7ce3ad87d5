"""How `.ci/run` judges its suites: chance costs nobody's work, and a broken promise is never repeated away."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FLAKY = 'if [ -e was-here ]; then echo fine; else touch was-here; echo "FAILED tests/x.py::test_it - oops"; exit 1; fi'


def judged(folder: Path, *suites: tuple[str, str], at: int = 0, chosen: str = "") -> tuple[int, str]:
    """(exit status, output) of a run of `suites` (name, bash), or the `chosen`; its clock stands at `at` seconds."""
    lines = [f"SECONDS={at}", f"chosen=({chosen})", f". {ROOT}/tools/suites.sh"]
    for name, body in suites:
        (folder / f"{name}.sh").write_text(body)
        lines.append(f"suite {name} 1 bash {name}.sh")
    script = "\n".join(["set -uo pipefail", *lines, "judgement"])
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def test_a_suite_that_passes_is_run_once(tmp_path: Path) -> None:
    status, output = judged(tmp_path, ("one", "echo ran >>ran"))
    assert status == 0
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert "FLAKY" not in output


def test_a_suite_that_passes_the_second_time_is_green_and_names_the_flaky_test_at_the_end(tmp_path: Path) -> None:
    status, output = judged(tmp_path, ("one", FLAKY), ("two", "true"))
    assert status == 0
    assert output.splitlines()[-1] == "FLAKY: tests/x.py::test_it"


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("ERROR tests/y.py::test_b", "tests/y.py::test_b"),
        ("redis_killed   20  19  0  0  0  0  1.2  WRONG: not settled", "redis_killed"),
        ("make: *** [Makefile:1: lab] Error 1", "one"),
    ],
)
def test_what_failed_is_named_as_exactly_as_its_output_allows(tmp_path: Path, said: str, named: str) -> None:
    body = f'[ -e here ] || {{ touch here; echo "{said}"; exit 1; }}'
    assert f"FLAKY: {named}\n" in judged(tmp_path, ("one", body))[1]


def test_a_suite_that_fails_twice_fails_the_run_and_its_last_lines_are_shown_again(tmp_path: Path) -> None:
    status, output = judged(tmp_path, ("one", "echo attempt >>attempts; echo the reason; exit 3"), ("two", "touch two"))
    assert status == 1
    assert (tmp_path / "attempts").read_text() == "attempt\n" * 2
    assert (tmp_path / "two").exists(), "the suites after it were not run"
    assert output.splitlines()[-1] == "failed: one"
    assert "one failed; its last lines:\nthe reason" in output


def test_a_run_that_counted_a_lost_trigger_is_never_repeated(tmp_path: Path) -> None:
    body = '[ -e here ] || { touch here; echo "PROMISE BROKEN: 1 lost in redis_killed"; exit 1; }'
    status, output = judged(tmp_path, ("one", body))
    assert status == 1
    assert "it is not repeated" in output
    assert output.splitlines()[-1] == "failed: one"


@pytest.mark.parametrize(("at", "status"), [(2990, 0), (3000, 1)])
def test_a_second_run_starts_only_before_minute_fifty(tmp_path: Path, at: int, status: int) -> None:
    assert judged(tmp_path, ("one", FLAKY), at=at)[0] == status


def test_only_the_suites_that_were_chosen_are_run(tmp_path: Path) -> None:
    suites = [(name, f"touch {name}.ran") for name in ("one", "two", "three")]
    assert judged(tmp_path, *suites, chosen="three one")[0] == 0
    assert sorted(path.stem for path in tmp_path.glob("*.ran")) == ["one", "three"]


def test_a_chosen_suite_that_does_not_exist_fails_the_run_and_is_named(tmp_path: Path) -> None:
    status, output = judged(tmp_path, ("one", "true"), chosen="one onne")
    assert status == 1
    assert "there is no suite onne" in output
    assert output.splitlines()[-1] == "failed: onne"
