"""A network namespace and the cable to it, which can be pulled: whoever is at the other end is gone without a word."""

import itertools
import os
import subprocess
from typing import Self

_NUMBERS = itertools.count(1)


class NoCable(Exception):
    """This machine cannot make one; the text says why."""


def run(*command: str) -> None:
    """A command that must succeed."""
    subprocess.run(command, check=True, capture_output=True)


class Cable:
    """A veth pair: 10.213.N.1 here, 10.213.N.2 in the namespace. A context manager."""

    def __init__(self) -> None:
        """Raises NoCable."""
        if os.geteuid() != 0:
            raise NoCable("network namespaces need root")
        self.namespace = f"vf{os.getpid()}x{next(_NUMBERS)}"
        number = os.getpid() % 250
        self.here, self.there = f"10.213.{number}.1", f"10.213.{number}.2"
        """Addresses."""
        # Linux: at most 15 characters
        self.outside, self.inside = f"{self.namespace}o"[-15:], f"{self.namespace}i"[-15:]
        """Interfaces."""
        try:
            run("ip", "netns", "add", self.namespace)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            raise NoCable(f"no network namespaces here: {error}") from None
        try:
            run("ip", "link", "add", self.outside, "type", "veth", "peer", "name", self.inside, "netns", self.namespace)
            run("ip", "addr", "add", f"{self.here}/30", "dev", self.outside)
            run("ip", "link", "set", self.outside, "up")
            run("ip", "-n", self.namespace, "addr", "add", f"{self.there}/30", "dev", self.inside)
            run("ip", "-n", self.namespace, "link", "set", self.inside, "up")
            run("ip", "-n", self.namespace, "link", "set", "lo", "up")
        except BaseException:
            self.remove()
            raise

    def inside_of_it(self, *command: str) -> list[str]:
        """The command line that runs `command` at the other end."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def pull(self) -> None:
        """Nothing passes any more, and nobody is told."""
        run("ip", "link", "set", self.outside, "down")

    def plug(self) -> None:
        """It passes again."""
        run("ip", "link", "set", self.outside, "up")

    def remove(self) -> None:
        """Cable and namespace; processes in there keep both alive."""
        subprocess.run(["ip", "link", "del", self.outside], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.namespace], check=False, capture_output=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()
