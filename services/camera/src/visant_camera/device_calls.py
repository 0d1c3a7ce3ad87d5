"""What is asked of an open camera beside its frames, in a thread of its own: one that hangs with the camera's control
endpoint costs nobody a picture.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from visant_camera.drivers.base import CameraAbsent, Driver

T = TypeVar("T")


class DeviceCalls:
    """One after another; `is_open` is the grabber's to set."""

    def __init__(self, driver: Driver) -> None:
        self.is_open = False
        self._driver = driver
        self._waiting: queue.SimpleQueue[tuple[Callable[[Driver], Any], Future[Any]] | None] = queue.SimpleQueue()
        # daemon: a call that the kernel never lets go of must not keep the process alive
        self._thread = threading.Thread(target=self._run, name="controls", daemon=True)

    def start(self) -> None:
        """From now on."""
        self._thread.start()

    def stop(self) -> None:
        """After what waits; not waited for."""
        self._waiting.put(None)

    def ask(self, function: Callable[[Driver], T]) -> Future[T]:
        """Runs `function`; its future fails with CameraAbsent while nothing is open."""
        future: Future[T] = Future()
        self._waiting.put((function, future))
        return future

    def _run(self) -> None:
        while (given := self._waiting.get()) is not None:
            function, future = given
            if not future.set_running_or_notify_cancel():
                continue
            if not self.is_open:
                future.set_exception(CameraAbsent("no camera is open"))
                continue
            try:
                future.set_result(function(self._driver))
            except Exception as error:  # noqa: BLE001  it is the caller's, and gets there through the future
                future.set_exception(error)
