"""visantctl is no installed package: it runs from where it lies."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "deployment"))
