"""An interpreter that has imported what the services need, and forks one of them for each start that a test asks for.

It is started by `forked_starts`, has one thread and no event loop, and runs no line of a service itself. What it forks
enters the program as a fresh interpreter would: the same arguments, environment, folder and descriptors, and the end
of the interpreter at its end. The process between (fork, fork, exit) hands the child over to the test's process, which
is a subreaper for that moment: so the test's process is its parent, and waits for it, as after any start.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import threading
import time
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from typing import Any

SERVICES = ("visant_camera", "visant_connector", "visant_uploader", "visant_cloud")
_LEFT_OUT = ("__main__", "opencv", "migrations")
"""No program itself; what only its own process loads; what is no module."""
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def preload() -> None:
    """Every module of the services, and with them the libraries, which is what takes the time."""
    for service in SERVICES:
        package = importlib.import_module(service)
        for module in pkgutil.walk_packages(package.__path__, f"{service}."):
            if not any(word in module.name for word in _LEFT_OUT):
                importlib.import_module(module.name)
    for name in ("uvicorn.protocols.http.h11_impl", "uvicorn.loops.asyncio", "uvicorn.lifespan.on", "aiosqlite"):
        importlib.import_module(name)
    shared_tls = runpy.run_path(os.path.join(os.path.dirname(__file__), "shared_tls.py"))
    shared_tls["install"]()
    shared_tls["shared"]()
    assert len(os.listdir("/proc/self/task")) == 1, "a fork after threads"
    gc.collect()
    gc.freeze()  # the pages stay shared


def serve(door: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Answers each request with a process id; returns in the child alone, with the request and its descriptors."""
    while True:
        message, fds, _, _ = socket.recv_fds(door, 1 << 20, 3)
        if not message:
            os._exit(0)
        read, write = os.pipe()
        between = os.fork()
        if between == 0:
            child = os.fork()
            if child == 0:
                os.close(read)
                os.close(write)
                door.close()
                return json.loads(message), list(fds)
            os.write(write, str(child).encode())
            os._exit(0)
        os.close(write)
        for one in fds:
            os.close(one)
        os.waitpid(between, 0)  # from here on the child has its new parent
        door.send(os.read(read, 32))
        os.close(read)


def become(request: dict[str, Any], fds: list[int]) -> None:
    """What exec and the start of an interpreter would have done."""
    while os.getppid() != request["parent"]:
        time.sleep(0.0005)
    if request["dies_with_parent"]:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != request["parent"]:
            os._exit(1)
    if request["new_session"]:
        os.setsid()
    for number, one in enumerate(fds):
        os.dup2(one, number)
        os.close(one)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    through = bool(os.environ.get("PYTHONUNBUFFERED"))
    out, err = (BufferedWriter(FileIO(number, "w", closefd=False)) for number in (1, 2))
    sys.stdin = TextIOWrapper(BufferedReader(FileIO(0, closefd=False)), encoding="utf-8")
    sys.stdout = TextIOWrapper(out, encoding="utf-8", write_through=through)
    sys.stderr = TextIOWrapper(
        err, encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=True
    )
    importlib.reload(sys.modules["visant_runtime.kill_point"])  # the one module that reads its setting at import


def main() -> None:
    """Until its caller has gone."""
    door = socket.socket(fileno=int(sys.argv[1]))
    preload()
    door.send(b"ready")
    request, fds = serve(door)
    become(request, fds)
    program, *arguments = request["argv"]
    sys.argv = [program, *arguments]
    try:
        if request["module"]:
            sys.path.insert(0, request["cwd"])
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, os.path.dirname(program))
            runpy.run_path(program, run_name="__main__")
    except SystemExit as end:  # any other error ends the interpreter as ever
        code = end.code
    else:
        code = None
    leave(code)


def leave(code: object) -> None:
    """The end of the interpreter, but for taking apart every module that the server had imported: 0.1 s of CPU."""
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()  # what is the program's own goes, and says so where it must not
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit((code or 0) & 0xFF)


if __name__ == "__main__":
    main()
