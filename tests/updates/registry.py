"""A second registry over the blobs of the first, in another place or behind a password."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.updates.host import wait_for

USER, PASSWORD = "device", "a-word-for-tests"
_HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuuvvhgfUTmWAaLx.rhlZeC3X0lfxErNdC\n"


@contextmanager
def registry(
    data: Path, folder: Path, address: str, *, enter: Sequence[str] = (), private: bool = False
) -> Iterator[None]:
    """docker-registry over the blobs in `data`, on `address` (host:port) in the network that `enter` leads to.

    `private`: for USER with PASSWORD only.
    """
    (folder / "htpasswd").write_text(_HTPASSWD)
    auth = f"auth: {{htpasswd: {{realm: tests, path: {folder / 'htpasswd'}}}}}\n" if private else ""
    config = folder / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: warn}\n"
        f"storage: {{filesystem: {{rootdirectory: {data}}}}}\n{auth}http: {{addr: '{address}'}}\n"
    )
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            [*enter, "docker-registry", "serve", str(config)],
            env={**os.environ, "OTEL_TRACES_EXPORTER": "none"}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip

    def answers() -> bool:
        assert process.poll() is None, (folder / "registry.log").read_text()
        host, port = address.split(":")
        probe = f"import socket; socket.create_connection(({host!r}, {port}), 1)"
        done = subprocess.run([*enter, sys.executable, "-c", probe], capture_output=True, check=False)
        return done.returncode == 0

    try:
        wait_for(answers, 20, "the registry")
        yield
    finally:
        process.terminate()
        process.wait(20)
