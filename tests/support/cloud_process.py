"""`visant-cloud run` as a process on a free port, and its commands beside it."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = [str(Path(sys.executable).with_name("visant-cloud"))]


class Process:
    """Keeps its data in `folder`; `environment` are settings."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.environment = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(folder / "data"),
            "HEARTBEAT_FILE": str(folder / "heartbeat"),
            "HTTP_HOST": "127.0.0.1",
            "PORT": "0",
            "AUTH": "open",
            "MIN_FREE_BYTES": "0",
            **environment,
        }
        self.log = folder / "log"
        self.program = PROGRAM
        """What is started; e.g. with `prlimit` before it."""
        self.url = ""

    def start(self, *words: str, **more: str) -> "Process":
        self.log.write_text("")
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen(
                [*self.program, "run", *words], env={**self.environment, **more}, stdout=log, stderr=log
            )
        self.url = self.find(r"cloud ready url=(\S+)")
        return self

    def find(self, pattern: str, timeout: float = 120.0) -> str:
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self.log.read_text())):
            assert self.popen.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)
        return found.group(1)

    def run(self, *words: str, text: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*PROGRAM, *words], env=self.environment, capture_output=True, text=True, input=text)

    def end(self) -> None:
        if hasattr(self, "popen"):
            if self.popen.poll() is None:
                self.popen.kill()
            self.popen.wait(30)
