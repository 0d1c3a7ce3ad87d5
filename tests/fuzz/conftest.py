"""A cloud as a process of its own, with a device, a program and a person that it lets in."""

import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.cloud_process import Process
from tests.support.postgres import PostgresServer

IMPATIENT = """
import sys
from visant_cloud import connections
connections.HEADERS_WITHIN = connections.BODY_SILENCE = 1.0
from visant_cloud.__main__ import main
sys.exit(main())
"""
"""`visant-cloud` that waits for half a request one second, and not a minute."""


@dataclass(frozen=True)
class Fuzzed:
    """One cloud and the credentials that it knows. `session`: headers of a person who has signed in."""

    process: Process
    device: str
    program: str
    session: dict[str, str]

    @property
    def url(self) -> str:
        """Of the API."""
        return self.process.url


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


@pytest.fixture(scope="module")
def fuzzed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Fuzzed]]:
    """`fuzzed("sqlite")`: started when first asked for."""
    clouds: dict[str, Fuzzed] = {}

    def started(engine: str) -> Fuzzed:
        if engine not in clouds:
            settings = {"AUTH": "required", "PING_EVERY": "1"}
            if engine == "postgresql":
                server: PostgresServer = request.getfixturevalue("postgres")
                settings["DATABASE_URL"] = server.url(f"fuzz{secrets.token_hex(4)}")
            process = Process(tmp_path_factory.mktemp(engine), **settings)
            process.program = [sys.executable, "-c", IMPATIENT]
            clouds[engine] = _with_credentials(process.start())
        return clouds[engine]

    yield started
    for one in clouds.values():
        one.process.end()


def _with_credentials(process: Process) -> Fuzzed:
    def said(*words: str, text: str = "") -> str:
        done = process.run(*words, text=text)
        assert done.returncode == 0, done.stderr
        return (done.stdout.split() or [""])[-1]

    device = said("create-device", "D1")
    program = said("create-token", "fuzz")
    said("create-operator", "anna", text="a password of anna's\n")
    with httpx.Client(base_url=process.url, follow_redirects=True, timeout=60) as browser:
        page = browser.post("/sign-in", data={"name": "anna", "password": "a password of anna's"})
        csrf = re.search(r'name="csrf"[^>]*value="([^"]+)"', page.text)
        assert csrf is not None, page.text
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return Fuzzed(process, device, program, {"Cookie": cookie, "X-CSRF-Token": csrf.group(1)})


@pytest.fixture(scope="session")
def short() -> bool:
    """Whether this is the short form."""
    return os.environ.get("SHORT", "") not in ("", "0")


def memory_and_sockets(pid: int) -> tuple[int, int]:
    """(resident bytes, open sockets) of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    files = [os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink()]
    return int(found.group(1)) * 1024, sum(name.startswith("socket:") for name in files)
