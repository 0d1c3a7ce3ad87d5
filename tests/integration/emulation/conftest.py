import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # `emulation` and `tests.faults` are no installed packages
sys.path.insert(0, str(Path(__file__).resolve().parent))  # the two fakes beside the tests
