"""`make mutants`: changes the pure parts one node at a time and counts which changes their unit tests notice.

SAMPLE=80 takes that many (SEED=1 others), ONLY=reconnect one module, by a part of its name. The last line is JSON.
Exit status 1 where less than AIM of them were noticed; a change that cannot be noticed, because it changes nothing
that matters, is listed in explained.toml with its reason and does not count.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import signal
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutants.operators import Mutant, mutants
from tests.mutants.targets import ROOT, TARGETS, Target

AIM = 0.95
_PRELOADED = (
    "_pytest.assertion.rewrite",
    "anyio.pytest_plugin",
    "httpx",
    "hypothesis.extra.pytestplugin",
    "hypothesis.strategies",
    "PIL.Image",
    "pydantic",
    "pydantic_settings",
    "pytest_asyncio.plugin",
    "redis.asyncio",
    "structlog",
)
"""What the tests import beside the product: once here instead of in each fork. Nothing of it starts a thread."""
_WITHIN = 120
"""Seconds for the tests of one mutant; a change that makes them hang was noticed."""


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the changed source to whoever imports the module."""

    def __init__(self, target: Target, source: str) -> None:
        self._target = target
        self._source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Of the one module."""
        if fullname != self._target.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self._target.path, loader=self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """As usual."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """The changed source instead of the file's."""
        exec(compile(self._source, str(self._target.path), "exec"), module.__dict__)


def _start(target: Target, source: str) -> int:
    """The id of a fork that runs the tests of `target` against this source. This process has imported no product."""
    child = os.fork()
    if child:
        return child
    status = 1  # whatever ends the tests early: the change was noticed
    try:
        os.setsid()
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        signal.alarm(_WITHIN)
        sys.meta_path.insert(0, _Changed(target, source))
        arguments = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header"]
        arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is preloaded
        status = int(pytest.main([*arguments, *target.test_paths]))
    finally:
        os._exit(status)


def noticed(changes: Sequence[tuple[Target, str]]) -> list[bool]:
    """For each (target, its source): whether its tests fail. As many at a time as there are cores."""
    found = [False] * len(changes)
    running: dict[int, int] = {}
    for number, (target, source) in enumerate(changes):
        running[_start(target, source)] = number
        if len(running) >= (os.cpu_count() or 1):
            _collect(running, found)
    while running:
        _collect(running, found)
    return found


def _collect(running: dict[int, int], found: list[bool]) -> None:
    child, status = os.wait()
    found[running.pop(child)] = status != 0


def explained() -> dict[tuple[str, str, str], str]:
    """(module, place, change) -> why no test can notice it."""
    listed = tomllib.loads((Path(__file__).parent / "explained.toml").read_text())
    return {(module, one["place"], one["change"]): one["why"] for module, changes in listed.items() for one in changes}


def main() -> int:
    """The exit status."""
    only, count = os.environ.get("ONLY", ""), int(os.environ.get("SAMPLE") or 0)
    targets = [one for one in TARGETS if only in one.module]
    if not targets:
        print(f"ONLY={only}: no such module; there are: {' '.join(one.module for one in TARGETS)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    for name in _PRELOADED:
        importlib.import_module(name)
    for target, fails in zip(targets, noticed([(one, one.path.read_text()) for one in targets]), strict=True):
        if fails:
            print(f"{target.module}: its tests fail as it is: {' '.join(target.tests)}", file=sys.stderr)
            return 2
    reasons = explained()
    every = [(target, mutant) for target in targets for mutant in mutants(target.path.read_text())]
    everywhere = {(target.module, mutant.place, mutant.what) for target, mutant in every}
    stale = [] if only else sorted(set(reasons) - everywhere)
    if count:
        every = random.Random(int(os.environ.get("SEED") or 0)).sample(every, min(count, len(every)))
    found = noticed([(target, mutant.source) for target, mutant in every])
    survivors = [one for one, was_noticed in zip(every, found, strict=True) if not was_noticed]
    unexplained = [one for one in survivors if (one[0].module, one[1].place, one[1].what) not in reasons]
    _tell(unexplained, stale)
    changes = len(every) - (len(survivors) - len(unexplained))
    score = (changes - len(unexplained)) / changes if changes else 1.0
    row = {
        "name": "mutants",
        "figure": round(score, 3),
        "aim": AIM,
        "met": score >= AIM and not stale,
        "changes": len(every),
        "survivors": len(unexplained),
        "explained": len(survivors) - len(unexplained),
        "seconds": round(time.monotonic() - began),
    }
    print(json.dumps(row))
    return 0 if row["met"] else 1


def _tell(survivors: list[tuple[Target, Mutant]], stale: list[tuple[str, str, str]]) -> None:
    for target, mutant in survivors:
        print(f"{target.path.relative_to(ROOT)}:{mutant.line}: {mutant.place or 'module'}: {mutant.what}")
    for module, place, change in stale:
        print(f"explained.toml explains what is not there any more: {module}: {place}: {change}")


if __name__ == "__main__":
    sys.exit(main())
