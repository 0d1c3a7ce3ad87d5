"""The mutation run changes what it says it changes, and finds its modules and tests."""

import ast
from pathlib import Path

import pytest

from tests.mutants.__main__ import explained
from tests.mutants.operators import mutants
from tests.mutants.targets import TARGETS, Target


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.module)
def test_each_target_and_its_tests_exist(target: Target) -> None:
    for path in (target.path, *map(Path, target.test_paths)):
        assert ast.parse(path.read_text())


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("x = a < b", ["a < b -> a <= b"]),
        ("x = -5", ["-5 -> 5", "5 -> 10"]),
        ("LIMIT = 30.0", ["30.0 -> 60.0"]),
        ("x = a and not b", ["a and (not b) -> a or not b", "not b -> b"]),
        ("def f():\n    return g(1)", ["return g(1) -> return None", "1 -> 2"]),
        ("def f(a: Literal[1]) -> Literal[2]:\n    '''Text.'''\n    close()", ["close() -> pass"]),
        ("x = f'{a}' + 'b'", []),
        ("x = min(a, b)", ["min(a, b) -> max(a, b)"]),
    ],
)
def test_each_change_is_one_small_change(source: str, changes: list[str]) -> None:
    found = list(mutants(source))
    assert [" ".join(one.what.split()) for one in found] == changes
    for one in found:
        assert ast.dump(ast.parse(one.source)) != ast.dump(ast.parse(source))


def test_each_explained_change_has_a_reason() -> None:
    assert all(len(why) > 15 for why in explained().values())
