#!/usr/bin/env python3
"""The one version of this repository: packages, images, release and what a device tells its cloud.

tools/version.py              prints it
tools/version.py 2.1.0        sets it everywhere; also 2.1.0-alpha.1, 2.1.0-beta.1, 2.1.0-rc.1
tools/version.py --check      fails where a file says another one
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
FORM = r"[0-9]+\.[0-9]+\.[0-9]+(?:-(?:alpha|beta|rc)\.[0-9]+)?"
"""What both semver.org and Python's packaging can say."""
_PACKAGES = (
    "pyproject.toml",
    "contract",
    "runtime",
    "services/camera",
    "services/connector",
    "services/uploader",
    "cloud",
    "cli",
)
PLACES: dict[str, str] = {
    **{one if one.endswith(".toml") else f"{one}/pyproject.toml": rf'^version = "({FORM})"$' for one in _PACKAGES},
    "compose.yaml": rf"VISANT_VERSION:-({FORM})}}",
    "compose.emulation.yaml": rf"VISANT_VERSION:-({FORM})}}",
    "cloud/compose.yaml": rf"VISANT_VERSION:-({FORM})}}",
    "docker-bake.hcl": rf'^variable "VERSION" {{ default = "({FORM})" }}$',
    "deployment/.env.device.example": rf"^#VISANT_VERSION=({FORM})$",
    **dict.fromkeys(
        ("README.md", "deployment/DEPLOYMENT.md", "deployment/MIGRATION.md"),
        rf"visant-(?:host-|images-)?({FORM})(?=[.-])",
    ),
}
"""File to where it names the version, at least once."""


def version() -> str:
    """The root pyproject.toml's."""
    found = re.search(r'^version = "(.+)"$', (TREE / "pyproject.toml").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit("pyproject.toml names no version")
    return found[1]


def others(wanted: str) -> list[str]:
    """What stands elsewhere, one line each."""
    wrong = []
    for name, pattern in PLACES.items():
        said = re.findall(pattern, (TREE / name).read_text(), re.MULTILINE)
        if not said:
            wrong.append(f"{name} names no version")
        wrong += [f"{name} says {one}, pyproject.toml {wanted}" for one in sorted(set(said) - {wanted})]
    return wrong


def change(to: str) -> None:
    """Write `to` into every place."""
    for name, pattern in PLACES.items():
        path = TREE / name
        text = re.sub(pattern, lambda at: at[0].replace(at[1], to), path.read_text(), flags=re.MULTILINE)
        path.write_text(text)


def main(words: list[str]) -> int:
    """Exit code."""
    if words == ["--check"]:
        wrong = others(version())
        print("\n".join(wrong) or f"every file says {version()}")
        return 1 if wrong else 0
    if words and (len(words) > 1 or not re.fullmatch(FORM, words[0])):
        print(
            f"{' '.join(words)!r} must be of the form 2.1.0, 2.1.0-alpha.1, 2.1.0-beta.1 or 2.1.0-rc.1", file=sys.stderr
        )
        return 2
    if words:
        change(words[0])
    print(version())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
