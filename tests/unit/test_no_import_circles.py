"""No module needs, at import time, a module that needs it: rooms have a direction."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    "visant_contract": ROOT / "contract/src",
    "visant_runtime": ROOT / "runtime/src",
    "visant_camera": ROOT / "services/camera/src",
    "visant_connector": ROOT / "services/connector/src",
    "visant_uploader": ROOT / "services/uploader/src",
    "visant_cloud": ROOT / "cloud/src",
    "visant_cli": ROOT / "cli/src",
    "visantctl": ROOT / "deployment",
    "emulation": ROOT,
}


def modules(package: str) -> dict[str, Path]:
    """Dotted name -> file. A folder's name is its `__init__.py`."""
    base = SOURCES[package]
    found = {}
    for path in sorted((base / package).rglob("*.py")):
        parts = path.relative_to(base).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    assert found, package
    return found


def at_import(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run when a module is imported: those in functions and for the type checker do not."""
    for node in body:
        match node:
            case ast.Import() | ast.ImportFrom():
                yield node
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from at_import(node.orelse)
            case ast.If() | ast.Try() | ast.With() | ast.ClassDef():
                for inner in ("body", "orelse", "handlers", "finalbody"):
                    for child in getattr(node, inner, []):
                        yield from at_import(child.body if isinstance(child, ast.ExceptHandler) else [child])


def needs(source: str, known: set[str]) -> set[str]:
    """Which of `known` a module with this source needs at import time."""
    found = set()
    for node in at_import(ast.parse(source).body):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} & known or {node.module}
    return found & known


def circle(graph: dict[str, set[str]]) -> list[str] | None:
    """One circle, first module repeated at the end; None where there is none."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str] | None:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return None
        for needed in sorted(graph[name]):
            if found := walk(needed, [*way, name]):
                return found
        done.add(name)
        return None

    return next((found for name in sorted(graph) if (found := walk(name, []))), None)


@pytest.mark.parametrize("package", SOURCES)
def test_no_module_imports_itself_through_others(package: str) -> None:
    known = modules(package)
    found = circle({name: needs(path.read_text(), set(known)) - {name} for name, path in known.items()})
    assert found is None, " -> ".join(found or [])


def test_a_circle_would_be_found() -> None:
    graph = {"a": needs("import b\ndef f():\n    import c", {"a", "b", "c"}), "b": {"c"}, "c": set[str]()}
    assert graph["a"] == {"b"}
    assert circle(graph) is None
    assert circle({**graph, "c": {"a"}}) == ["a", "b", "c", "a"]
