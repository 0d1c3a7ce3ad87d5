"""Who may import whom: services and cloud import contract and runtime, never each other."""

import ast
import re
import sys
import tomllib
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
}
SHARED = {"visant_contract", "visant_runtime"}
ALLOWED = {
    "visant_contract": {"visant_contract"},
    "visant_runtime": {"visant_runtime"},
    **{name: {name} | SHARED for name in PACKAGES if name not in SHARED},
}


def imports(path: Path) -> set[str]:
    """Top-level names that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def sources(package: str) -> list[Path]:
    files = sorted((PACKAGES[package] / "src").rglob("*.py"))
    assert files, package
    return files


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_the_law_allows(package: str) -> None:
    for path in sources(package):
        ours = {name for name in imports(path) if name.startswith("visant_")}
        assert ours <= ALLOWED[package], f"{path.relative_to(ROOT)} imports {sorted(ours - ALLOWED[package])}"


def test_contract_imports_only_pydantic_and_pure_parts_of_the_standard_library() -> None:
    impure = {"os", "time", "socket", "subprocess", "pathlib", "asyncio", "io", "shutil", "tempfile", "random", "ssl"}
    for path in sources("visant_contract"):
        foreign = imports(path) - set(sys.stdlib_module_names) - {"visant_contract", "pydantic", "pydantic_core"}
        assert not foreign, f"{path.name} imports {foreign}"
        assert not imports(path) & impure, f"{path.name} does I/O or reads a clock"


def test_runtime_knows_no_product_word() -> None:
    words = re.compile(r"trigger|snapshot|camera|cloud|spool|capture|device_id", re.IGNORECASE)
    for path in sources("visant_runtime"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert not words.search(line), f"{path.name}:{number}: {line.strip()}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_declares_what_it_imports(package: str) -> None:
    declared = tomllib.loads((PACKAGES[package] / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[\[<>=!~ ]", item)[0].lower().replace("-", "_") for item in declared}
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
            assert wanted.lower() in names or brought.get(name) in names, f"{path.name} imports {name}, not declared"


@pytest.mark.parametrize("image", ["camera", "connector", "uploader"])
def test_the_pis_images_carry_none_of_the_clouds_dependencies(image: str) -> None:
    lock = (ROOT / f"requirements/{image}.txt").read_text()
    for name in ("fastapi", "sqlalchemy", "alembic", "asyncpg", "aiosqlite", "jinja2", "pillow", "argon2-cffi"):
        assert not re.search(rf"^{name}==", lock, re.MULTILINE), f"{name} in requirements/{image}.txt"


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
            and name not in ("visant_runtime.entry", "visant_runtime.heartbeat")
        }
        assert not heavy, f"{package}.__main__ loads {heavy} before it knows the command"
