"""CI on GitHub, as far as it can be held without GitHub: what the workflows name is there, and fits what it names."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from release import make_release

from tests.unit.test_documents import TARGETS, tracked

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SUITES = {
    name: (int(minutes), command)
    for name, minutes, command in re.findall(r"^suite (\S+) (\d+) (.+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
}
SET_UP_MINUTES = 10
WRITES = {
    ("release.yml", "images", "packages"),
    ("release.yml", "publish", "contents"),
    ("release.yml", "offer", "contents"),
}
"""Who may change what: push images, publish a release, offer it."""
IMAGE = re.compile(r"^FROM (?:--platform=\S+ )?(\S+)(?: AS (\S+))?$", re.MULTILINE)
PINNED = re.compile(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}")


def workflow(name: str) -> dict[Any, Any]:
    """A workflow as YAML has it; its `on` is the key True."""
    read: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())
    return read


CI, RELEASE = workflow("ci.yml"), workflow("release.yml")
MATRIX: list[dict[str, Any]] = CI["jobs"]["suites"]["strategy"]["matrix"]["include"]


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(workflow, name, job) of every job."""
    for path in WORKFLOWS:
        for name, job in workflow(path.name)["jobs"].items():
            yield path.name, name, job


def step(job: str, name: str) -> str:
    """The script of a step of release.yml."""
    found: list[str] = [one["run"] for one in RELEASE["jobs"][job]["steps"] if one.get("name") == name]
    assert len(found) == 1, name
    return found[0]


def run(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A step as the runner starts it: bash -e with pipefail, programs of `folder`/bin first."""
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    env = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", **environment}
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def program(folder: Path, name: str, body: str) -> None:
    """Put a stand-in for a program first on the PATH of `run`."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/usr/bin/env bash\nset -eu\n" + body)
    path.chmod(0o755)


def test_each_suite_has_a_job_and_each_job_names_suites_that_exist() -> None:
    named = [name for one in MATRIX for name in one["suites"].split()]
    assert set(named) == set(SUITES)
    at_home = [name for one in MATRIX if not one["runner"].endswith("-arm") for name in one["suites"].split()]
    assert sorted(name for name in at_home if name != "lab") == sorted(set(SUITES) - {"lab"}), "each once"


def test_a_suite_that_needs_an_engine_has_one() -> None:
    for one in MATRIX:
        names = one["suites"].split()
        needs = {"smoke-containers", "test-containers", "test-updates", "pi-host"} & set(names)
        assert not needs or names[0] == "lab", names


def test_the_images_are_built_and_take_pictures_on_arm64() -> None:
    assert any(one["runner"].endswith("-arm") and "smoke-containers" in one["suites"].split() for one in MATRIX)


@pytest.mark.parametrize("one", MATRIX, ids=lambda one: f"{one['suites']} {one['runner']}")
def test_a_job_ends_later_than_its_suites_would_be_ended(one: dict[str, Any]) -> None:
    suites = sum(SUITES[name][0] for name in one["suites"].split())
    assert one["minutes"] >= 2 * suites + SET_UP_MINUTES, "a suite that fails is run once more"


def test_each_command_of_a_suite_is_a_make_target() -> None:
    for minutes, command in SUITES.values():
        target = re.fullmatch(r"make ([a-z-]+)(?: [A-Z]+=\S+)*", command)
        assert target, command
        assert target[1] in TARGETS
        assert minutes > 0


def test_each_action_is_named_by_its_hash_and_each_workflow_of_ours_is_there() -> None:
    for _, name, job in jobs():
        for used in [job.get("uses"), *(one.get("uses") for one in job.get("steps", []))]:
            if used and used.startswith("./"):
                assert (ROOT / used).is_file()
            elif used:
                assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", used), f"{name}: {used}"


def test_no_job_may_do_more_than_it_does() -> None:
    found = set()
    for path in WORKFLOWS:
        assert workflow(path.name)["permissions"] == {}, path.name
    for where, name, job in jobs():
        assert "permissions" in job, name
        found |= {(where, name, what) for what, may in job["permissions"].items() if may == "write"}
    assert found == WRITES


def test_each_job_that_runs_something_has_an_end_and_each_script_it_names_is_there() -> None:
    for _, name, job in jobs():
        assert "uses" in job or "timeout-minutes" in job, name
        for one in job.get("steps", []):
            for script in re.findall(r"^\s*((?:[\w.-]+/)+[\w-]+\.(?:sh|py))\b", one.get("run", ""), re.MULTILINE):
                assert os.access(ROOT / script, os.X_OK), f"{name}: {script}"


def test_a_release_waits_for_the_ci_of_its_commit() -> None:
    assert "workflow_call" in CI[True]
    assert RELEASE["jobs"]["ci"]["uses"] == "./.github/workflows/ci.yml"
    assert RELEASE["jobs"]["images"]["needs"] == "ci"
    assert RELEASE["jobs"]["publish"]["needs"] == "images"
    for name in ("ci", "images", "publish"):
        assert "if" not in RELEASE["jobs"][name], "a job with a condition of its own runs after a failure too"


@pytest.mark.parametrize(("tag", "status"), [("2.0.0", 0), ("2.0.1", 1), ("v2.0.0", 1)])
def test_a_tag_that_is_not_the_version_makes_no_release(tmp_path: Path, tag: str, status: int) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "visant-edge"\nversion = "2.0.0"\n')
    done = run(step("tag", "the tag is the version"), tmp_path, GITHUB_REF_NAME=tag)
    assert done.returncode == status
    assert bool(status) == ("pyproject.toml says 2.0.0" in done.stdout)


def test_the_images_of_a_release_are_built_with_a_cache_of_their_own_and_named_by_digest(tmp_path: Path) -> None:
    built = {name: {"containerimage.digest": f"sha256:{name}"} for name in ("camera", "redis", "cloud")}
    program(tmp_path, "docker", f'echo "$*" >>calls; [ "$2" != bake ] || echo \'{json.dumps(built)}\' >metadata.json\n')
    script = step("images", "build and push, with SBOM and provenance")
    done = run(script, tmp_path, IMAGES="ghcr.io/Some/Fork", GITHUB_OUTPUT="out")
    assert done.returncode == 0, done.stderr
    bake = (tmp_path / "calls").read_text().splitlines()[-1]
    assert "--set camera.cache-to=type=registry,ref=ghcr.io/some/fork/cache:camera,mode=max" in bake
    references = json.loads((tmp_path / "out").read_text().removeprefix("references="))
    assert references == ["camera=ghcr.io/some/fork/camera@sha256:camera", "redis=ghcr.io/some/fork/redis@sha256:redis"]


@pytest.mark.parametrize(
    ("job", "name"), [("publish", "manifest, host files, offline archives"), ("offer", "sign the channel's manifest")]
)
def test_the_release_tool_takes_what_the_workflow_says_and_the_key_is_gone_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str, name: str
) -> None:
    program(tmp_path, "gh", "exit 0\n")
    tool = tmp_path / "deployment/release/make_release.py"
    tool.parent.mkdir(parents=True)
    tool.write_text('#!/usr/bin/env bash\ntest -s key\nprintf "%s\\n" "$@" >said\n')
    tool.chmod(0o755)
    done = run(
        step(job, name), tmp_path, RUNNER_TEMP=".", KEY="a key", VERSION="1.2.0", CHANNEL="stable", ROLLOUT="10",
        REFERENCES='["camera=reg/camera@sha256:1", "redis=reg/redis@sha256:2"]',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "key").exists()
    monkeypatch.setattr(sys, "argv", ["make_release.py", *(tmp_path / "said").read_text().splitlines()])
    options = make_release._arguments()
    assert options.version == "1.2.0"
    if job == "publish":
        assert options.image == ["camera=reg/camera@sha256:1", "redis=reg/redis@sha256:2"]
        assert options.archive == ["amd64", "arm64"]
    else:
        assert (options.channel, options.rollout) == ("stable", 10)


GH = """
case "$1 $2" in
"release view") [ -d store ] ;;
"release create") mkdir store ;;
"release upload")
  shift 3
  for file in "$@"; do
    [ "$file" != --clobber ] || continue
    name=${file##*/}
    rm -f "store/$name"
    if [ -e dies ]; then rm dies; exit 1; fi
    if [ -e lies ]; then rm lies; echo an old one >"store/$name"; else cp "$file" "store/$name"; fi
  done ;;
"release download") cp store/release.json store/release.json.sig "$7" ;;
esac
"""


@pytest.mark.parametrize("trouble", [None, "dies", "lies"])
def test_a_channel_ends_with_a_manifest_and_its_own_signature(tmp_path: Path, trouble: str | None) -> None:
    program(tmp_path, "gh", GH)
    for name in ("store", "new"):
        (tmp_path / name).mkdir()
        for file in ("release.json", "release.json.sig"):
            (tmp_path / name / file).write_text(f"{name} {file}")
    if trouble:
        (tmp_path / trouble).touch()
    done = run(f"{ROOT}/.github/replace_channel.sh stable new", tmp_path, RETRY_SECONDS="0")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "store/release.json").read_text() == "new release.json"
    assert (tmp_path / "store/release.json.sig").read_text() == "new release.json.sig"


def test_a_channel_that_cannot_be_replaced_fails_the_job_and_says_what_to_do(tmp_path: Path) -> None:
    program(tmp_path, "gh", '[ "$2" = view ]\n')
    done = run(f"{ROOT}/.github/replace_channel.sh stable new", tmp_path, RETRY_SECONDS="0")
    assert done.returncode == 1
    assert "run this job again" in done.stdout


def test_each_base_image_is_pinned_and_the_same_one_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for name in tracked("*Dockerfile"):
        stages = {"scratch"}
        for image, stage in IMAGE.findall((ROOT / name).read_text()):
            reference = image.split("${", 1)[-1].split(":-", 1)[-1].rstrip("}")
            if reference not in stages and image != "${SERVICE}":
                assert PINNED.fullmatch(image), (
                    f"{name}: {image} has no digest, or is a variable without a pinned stage"
                )
                repository = image.split(":", 1)[0]
                pins.setdefault(repository, set()).add(image)
            stages.add(stage)
    assert set(pins) == {"python", "redis", "debian"}
    assert all(len(found) == 1 for found in pins.values()), pins


def test_each_folder_with_a_base_image_is_looked_through_for_newer_ones() -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    looked = {
        folder.strip("/") for one in updates if one["package-ecosystem"] == "docker" for folder in one["directories"]
    }
    assert looked == {name.rpartition("/")[0] for name in tracked("*Dockerfile")}
    assert any(one["package-ecosystem"] == "github-actions" for one in updates)
