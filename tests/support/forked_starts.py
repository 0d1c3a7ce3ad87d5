"""Makes subprocess.Popen, and asyncio on top of it, start the services by `fork_server`: about 0.02 s of CPU, not 1 s.

Everything else about such a process is as ever: it is a child of this process with a pid, a status and a group of its
own where one was asked for. What cannot be had by a fork is started for real: other programs, `health` (it must be
quick by itself), LD_PRELOAD and PYTHON* settings, a user, a descriptor to pass on. `real_starts()` does so for all.
"""

import atexit
import ctypes
import inspect
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emulation.processes import DiesWith

SERVER = Path(__file__).with_name("fork_server.py")
_PROGRAMS = {
    str(Path(sys.executable).with_name(f"visant-{name}")) for name in ("camera", "connector", "uploader", "cloud")
}
_MODULES = {f"visant_{name}" for name in ("camera", "connector", "uploader", "cloud")}
_HARMLESS = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
_PLAIN: Mapping[str, Any] = {
    "executable": None, "pass_fds": (), "close_fds": True, "shell": False, "gid": None, "gids": None, "uid": None,
    "umask": -1, "process_group": -1,
}  # fmt: skip
"""What a caller has not asked for."""
_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
_prctl = ctypes.CDLL(None, use_errno=True).prctl
_lock = threading.Lock()
_exec = subprocess.Popen._execute_child  # type: ignore[attr-defined]
_signature = inspect.signature(_exec)
_door: socket.socket | None = None
_server: subprocess.Popen[bytes] | None = None
_really = False


def install() -> None:
    """From now on, in this process."""
    subprocess.Popen._execute_child = _execute_child  # type: ignore[attr-defined]


@contextmanager
def real_starts() -> Iterator[None]:
    """Each start is an exec, inside the block."""
    global _really
    _really = True
    try:
        yield
    finally:
        _really = False


def _open_door() -> socket.socket:
    """To the server, which is started with the first request and ends with this process."""
    global _door, _server
    if _door is None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        with theirs:
            _server = subprocess.Popen(
                [sys.executable, "-P", str(SERVER), str(theirs.fileno())],
                stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env={**env, "LC_ALL": "C.UTF-8"},
            )  # fmt: skip
        if ours.recv(16) != b"ready":
            raise RuntimeError("the fork server did not start: its lines stand above")
        _door = ours
        atexit.register(_close_door)
    return _door


def _close_door() -> None:
    if _door is not None and _server is not None:
        _door.close()
        _server.wait(10)


def _forkable(argv: Sequence[str], env: Mapping[str, str], call: Mapping[str, Any]) -> bool:
    if _really or any(call.get(key, usual) != usual for key, usual in _PLAIN.items()):
        return False
    if call["preexec_fn"] is not None and not isinstance(call["preexec_fn"], DiesWith):
        return False
    if any(key.startswith(("PYTHON", "LD_")) and key not in _HARMLESS for key in env):
        return False
    module = argv[:2] == [sys.executable, "-m"] and len(argv) > 2 and argv[2] in _MODULES
    return (module or argv[0] in _PROGRAMS) and "health" not in argv


def _execute_child(popen: Any, *given: Any, **named: Any) -> None:
    call = _signature.bind(popen, *given, **named).arguments
    words = call["args"]
    argv = [words] if isinstance(words, str) else [os.fspath(word) for word in words]
    env = dict(os.environ if call["env"] is None else call["env"])
    cwd = os.fspath(call["cwd"]) if call["cwd"] is not None else os.getcwd()
    if not _forkable(argv, env, call) or not os.path.isdir(cwd):
        _exec(popen, *given, **named)
        return
    module = argv[1:2] == ["-m"]
    request = {
        "argv": argv[2:] if module else argv,
        "module": module,
        "env": env,
        "cwd": os.path.abspath(cwd),
        "parent": os.getpid(),
        "new_session": call["start_new_session"],
        "dies_with_parent": call["preexec_fn"] is not None,
    }
    ends = [call["p2cread"], call["c2pwrite"], call["errwrite"]]
    fds = [number if end == -1 else end for number, end in enumerate(ends)]
    with _lock:
        door = _open_door()
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        try:
            socket.send_fds(door, [json.dumps(request).encode()], fds)
            popen.pid = int(door.recv(32))
        finally:
            _prctl(_PR_SET_CHILD_SUBREAPER, 0)
    popen._child_created = True
    popen._close_pipe_fds(*(call[key] for key in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")))
