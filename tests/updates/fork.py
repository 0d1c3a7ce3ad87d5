"""A clone of this tree as it is, in which the commands of a document are run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.pi_host.guides import blocks
from tests.updates.shop import TREE


def copy_of_the_tree(to: Path) -> Path:
    """A repository with what this checkout holds, committed or not, in one commit."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=TREE, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        source, target = TREE / name, to / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    for command in ("git init --quiet", "git add --all", "git commit --quiet --message=tree"):
        subprocess.run(command.split(), cwd=to, env={**os.environ, **AUTHOR}, check=True, capture_output=True)
    return to


AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Owner"), ("EMAIL", "owner@fork.test"))
}


@dataclass
class Fork:
    """Where a reader types; `same_thing` is what the reader puts in place of a document's examples."""

    folder: Path
    environment: dict[str, str]
    same_thing: dict[str, str] = field(default_factory=dict)

    def type(self, command: str, typed: str = "") -> str:
        """All that the command said; AssertionError where it failed."""
        for example, real in self.same_thing.items():
            command = command.replace(example, real)
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command}"], cwd=self.folder, env=self.environment, input=typed,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=600,
        )  # fmt: skip
        print(f"$ {command}\n{done.stdout[-3000:]}")
        assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout[-4000:]}"
        return done.stdout


def sections(document: str) -> Mapping[str, list[str]]:
    """Heading to the commands below it; a `# comment` at a line's end is for the reader."""
    parts = re.split(r"^## (.+)$", (TREE / document).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {
        heading: [line.split("  #")[0].strip() for line in blocks(body) if line]
        for heading, body in zip(parts[1::2], parts[2::2], strict=True)
    }
