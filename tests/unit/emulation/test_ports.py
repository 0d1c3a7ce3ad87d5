import socket
import subprocess
import sys
from pathlib import Path

from emulation.ports import hold_port, release_port

ROOT = Path(__file__).resolve().parents[3]


def test_the_usual_port_is_taken_where_it_is_free_and_another_where_it_is_not() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        found = hold_port(taken)
    assert found != taken
    release_port(found)
    assert hold_port(found) == found
    release_port(found)


def test_another_emulation_keeps_off_a_port_that_nobody_listens_on_yet() -> None:
    mine = hold_port()
    try:
        program = f"from emulation.ports import hold_port; print(hold_port({mine}))"
        theirs = int(subprocess.check_output([sys.executable, "-c", program], text=True, cwd=ROOT))
        assert theirs != mine
    finally:
        release_port(mine)
