"""The process that keeps workers running."""

import subprocess
import sys
from pathlib import Path

_AS_FIRST_PROCESS = """
import ctypes, os, signal, sys, time
from pathlib import Path
from visant_cloud.workers import Supervisor
from visant_runtime.heartbeat import Heartbeat

folder, me = Path(sys.argv[1]), os.getpid()
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans are its children, as they are the first process's

def work(number, supervisor):
    if (folder / "again").exists():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        os.kill(me, signal.SIGTERM)
        time.sleep(60)
    (folder / "again").touch()
    if os.fork() == 0:
        while os.getppid() != me:
            time.sleep(0.01)
        os._exit(0)
    return 1

sys.exit(Supervisor(1, work, Heartbeat(folder / "beat"), folder / "beat").run())
"""


def test_a_decoder_that_its_worker_left_behind_does_not_end_the_others(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _AS_FIRST_PROCESS, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert (tmp_path / "again").exists()
