"""A fleet in a process of its own, asked from here: one call after the other, or begun here and ended later."""

import asyncio
import multiprocessing
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import uvloop

from tests.bench.cloud.fleet import RECONNECT_DELAY, Fleet

P = ParamSpec("P")
R = TypeVar("R")

_WITHIN = 400.0
"""Seconds that any call may take; each bounds itself below that."""


class RemoteFleet:
    """`Fleet` with these arguments, in a fresh process that ends with the block."""

    kind: type[Fleet] = Fleet

    def __init__(
        self, url: str, count: int, first: int = 0, step: int = 1, reconnect_delay: float = RECONNECT_DELAY
    ) -> None:
        self._arguments = (url, count, first, step, reconnect_delay)

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("forkserver")  # no fork of this process, which has threads
        context.set_forkserver_preload([self.kind.__module__])
        self._here, there = context.Pipe()
        self._process = context.Process(target=_work, args=(there, self.kind, self._arguments), daemon=True)
        self._process.start()
        there.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._here.close()  # it ends itself at that
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(10)

    def begin(
        self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], *arguments: P.args, **more: P.kwargs
    ) -> Callable[[], R]:
        """The call goes on in the other process; what is returned waits for its result."""
        self._here.send((method, arguments, more))
        return self._result

    def call(
        self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], *arguments: P.args, **more: P.kwargs
    ) -> R:
        """`await fleet.method(...)` in the other process."""
        return self.begin(method, *arguments, **more)()

    def _result(self) -> Any:
        if not self._here.poll(_WITHIN):
            raise TimeoutError(f"the fleet did not answer within {_WITHIN:.0f} s")
        error, result = self._here.recv()
        if error is not None:
            raise RuntimeError(f"the fleet failed: {error}")
        return result


def _work(parent: "Connection[Any, Any]", kind: type[Fleet], arguments: tuple[Any, ...]) -> None:
    uvloop.run(_serve(parent, kind(*arguments)))


async def _serve(parent: "Connection[Any, Any]", fleet: Fleet) -> None:
    while True:
        try:
            method, arguments, more = await asyncio.to_thread(parent.recv)
        except (EOFError, OSError):
            await fleet.close()
            return
        answer: tuple[str | None, Any]
        try:
            answer = (None, await method(fleet, *arguments, **more))
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            answer = (f"{type(error).__name__}: {error}", None)
        parent.send(answer)
