"""Who may import whom: services and cloud import contract and runtime, never each other."""

import ast
import json
import re
import subprocess
import sys
import time
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "visant_contract": ROOT / "contract",
    "visant_runtime": ROOT / "runtime",
    "visant_camera": ROOT / "services/camera",
    "visant_connector": ROOT / "services/connector",
    "visant_uploader": ROOT / "services/uploader",
    "visant_cloud": ROOT / "cloud",
    "visant_cli": ROOT / "cli",
}
SHARED = {"visant_contract", "visant_runtime"}
ALLOWED = {
    "visant_contract": {"visant_contract"},
    "visant_runtime": {"visant_runtime"},
    **{name: {name} | SHARED for name in PACKAGES if name not in SHARED},
    "visant_cli": {"visant_cli"},  # it knows the API as any program of others does, and installs without ours
}
DEVICE = ROOT / "runtime/src/visant_runtime/device"
"""What connector and uploader share of their cloud: settings, HTTP client, consumer group. A package of its own would
be a seventh to version and to ship for a few files; as a part of runtime it has this fence instead: it may know the
contract and product words, it has an extra for what it needs, and nobody but these two services may import it."""
DEVICE_USERS = {"visant_connector", "visant_uploader"}


@cache
def imports(path: Path) -> frozenset[str]:
    """Top-level names that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return frozenset(found)


def sources(package: str) -> list[Path]:
    files = sorted((PACKAGES[package] / "src").rglob("*.py"))
    assert files, package
    return files


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_the_law_allows(package: str) -> None:
    for path in sources(package):
        ours = {name for name in imports(path) if name.startswith("visant_")}
        allowed = ALLOWED[package] | SHARED if DEVICE in path.parents else ALLOWED[package]
        assert ours <= allowed, f"{path.relative_to(ROOT)} imports {sorted(ours - allowed)}"


@pytest.mark.parametrize("package", sorted(set(PACKAGES) - DEVICE_USERS))
def test_what_is_for_connector_and_uploader_is_imported_by_nobody_else(package: str) -> None:
    for path in sources(package):
        if DEVICE not in path.parents:
            assert "visant_runtime.device" not in path.read_text(), path.relative_to(ROOT)


def test_contract_imports_only_pydantic_and_pure_parts_of_the_standard_library() -> None:
    impure = {"os", "time", "socket", "subprocess", "pathlib", "asyncio", "io", "shutil", "tempfile", "random", "ssl"}
    for path in sources("visant_contract"):
        foreign = imports(path) - set(sys.stdlib_module_names) - {"visant_contract", "pydantic", "pydantic_core"}
        assert not foreign, f"{path.name} imports {foreign}"
        assert not imports(path) & impure, f"{path.name} does I/O or reads a clock"


def test_runtime_knows_no_product_word_outside_its_part_for_devices() -> None:
    words = re.compile(r"trigger|snapshot|camera|cloud|spool|capture|device_id", re.IGNORECASE)
    for path in sources("visant_runtime"):
        if DEVICE in path.parents:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert not words.search(line), f"{path.name}:{number}: {line.strip()}"


def distributions(declared: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~ ]", item)[0].lower().replace("-", "_") for item in declared}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_declares_what_it_imports(package: str) -> None:
    project = tomllib.loads((PACKAGES[package] / "pyproject.toml").read_text())["project"]
    names = distributions(project["dependencies"])
    extras = project.get("optional-dependencies", {})
    with_extra = names | distributions(extras.get("device", []))
    names |= distributions(extras.get("keyring", []))
    sender = names | distributions(extras.get("apprise", []))
    modules = {
        "cv2": "opencv_python_headless",
        "PIL": "pillow",
        "multipart": "python_multipart",
        "argon2": "argon2_cffi",
    }
    # what a declared framework re-exports and what it brings by contract
    brought = {
        "numpy": "opencv_python_headless",
        "anyio": "starlette",
        "uvloop": "uvicorn",
        "pydantic_core": "pydantic",
    }
    for path in sources(package):
        for name in imports(path) - set(sys.stdlib_module_names):
            if name == package:
                continue
            wanted = modules.get(name, name)
            known = sender if path.name == "apprise_sender.py" else with_extra if DEVICE in path.parents else names
            assert wanted.lower() in known or brought.get(name) in known, f"{path.name} imports {name}, not declared"


def test_who_imports_the_part_for_devices_asks_for_its_extra_and_nobody_else_does() -> None:
    for package in set(PACKAGES) - SHARED:
        declared = tomllib.loads((PACKAGES[package] / "pyproject.toml").read_text())["project"]["dependencies"]
        assert ("visant-runtime[device]" in declared) == (package in DEVICE_USERS), package


def test_httpx_stays_behind_the_files_that_its_decisions_name() -> None:
    using = {
        str(path.relative_to(PACKAGES[package] / "src"))
        for package in PACKAGES
        for path in sources(package)
        if imports(path) & {"httpx", "httpx_sse"}
    }
    assert using == {
        "visant_runtime/device/cloud_http.py",
        "visant_connector/cloud_stream.py",
        "visant_uploader/capture/camera_client.py",
        "visant_cli/cloud.py",
    }


@pytest.mark.parametrize("image", ["camera", "connector", "uploader"])
def test_the_pis_images_carry_none_of_the_clouds_dependencies(image: str) -> None:
    lock = (ROOT / f"requirements/{image}.txt").read_text()
    for name in ("fastapi", "sqlalchemy", "alembic", "asyncpg", "aiosqlite", "jinja2", "pillow", "argon2-cffi"):
        assert not re.search(rf"^{name}==", lock, re.MULTILINE), f"{name} in requirements/{image}.txt"


def test_the_camera_reads_no_cloud_and_no_redis_and_carries_no_client_for_them() -> None:
    lock = (ROOT / "requirements/camera.txt").read_text()
    for name in ("httpx", "redis"):
        assert not re.search(rf"^{name}==", lock, re.MULTILINE), name


DOCKERFILE = (ROOT / "services/Dockerfile").read_text()


@pytest.mark.parametrize("service", ["camera", "connector", "uploader"])
def test_the_engines_question_is_answered_as_the_health_command_does_and_starts_no_more_than_it_needs(
    service: str, tmp_path: Path
) -> None:
    """The argument list of the image's HEALTHCHECK, with this machine's Python and this tree's file."""
    asked = next(line for line in re.findall(r"HEALTHCHECK .* CMD (\[.*\])", DOCKERFILE) if f'"{service}"' in line)
    program, *words = [word.replace("/app/", f"{PACKAGES['visant_runtime']}/src/") for word in json.loads(asked)]
    assert (program, words[:2]) == ("python3", ["-I", "-S"])
    beat = tmp_path / "heartbeat"
    loops = {"loop": {"at": time.clock_gettime(time.CLOCK_BOOTTIME), "max_age": 600}}
    for degraded, status in (({}, 0), ({"cloud": "away"}, 0), (5, 1)):
        beat.write_text(json.dumps({"loops": loops, "degraded": degraded}))
        said = [
            subprocess.run(command, env={"HEARTBEAT_FILE": str(beat)}, capture_output=True, text=True, check=False)
            for command in (
                [sys.executable, "-X", "importtime", *words],
                [sys.executable, "-m", f"visant_{service}", "health"],
            )
        ]
        assert [(one.returncode, one.stdout) for one in said] == [(status, said[1].stdout)] * 2
        loaded = {line.rpartition("|")[2].strip() for line in said[0].stderr.splitlines()}
        assert "json" in loaded
        assert not loaded & {"site", "typing", "pathlib", "argparse", "tempfile", "threading"}


def test_health_loads_nothing_but_the_standard_library() -> None:
    for package in ("visant_camera", "visant_connector", "visant_uploader"):
        main = PACKAGES[package] / "src" / package / "__main__.py"
        top = {
            alias.name.split(".")[0] if isinstance(node, ast.Import) else str(node.module)
            for node in ast.parse(main.read_text()).body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        heavy = {
            name
            for name in top
            if name.split(".")[0] not in sys.stdlib_module_names
            and name not in ("visant_runtime.entry", "visant_runtime.health")
        }
        assert not heavy, f"{package}.__main__ loads {heavy} before it knows the command"
