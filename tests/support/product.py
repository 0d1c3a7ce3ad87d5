"""The version that this tree makes."""

import tomllib
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
VERSION: str = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]["version"]
