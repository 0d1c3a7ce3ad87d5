"""One command, executed: a picture or the reason why there is none. Decides nothing about time or storage."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import assert_never

import structlog

from visant_contract.outcome import OutcomeStatus, Reason
from visant_contract.stream import CommandEntry
from visant_runtime.clock import Clock
from visant_runtime.lifecycle import Stop, Stopped
from visant_uploader.capture.camera_client import CameraClient, CameraTrouble, ConfigRefused, Snapshot
from visant_uploader.capture.camera_slots import CameraSlots, TooLate
from visant_uploader.capture.config_command import apply_config
from visant_uploader.capture.update_request import UpdateRequests

log = structlog.get_logger()

CONFIG_HEADSTART = 2.0
"""Seconds that a picture waits for settings that came before it."""
CONFIG_AGAIN = 2.0
"""Seconds between two offers to a camera service that is away."""


@dataclass(frozen=True)
class ExecutionResult:
    """Of a command that ended without a picture."""

    status: OutcomeStatus
    reason: Reason | None
    detail: str
    asked_at: float | None = None
    """CLOCK_BOOTTIME at which the camera was asked first, where it was."""


class Executor:
    """Captures run side by side, settings one after another."""

    def __init__(self, camera: CameraClient, slots: CameraSlots, updates: UpdateRequests, clock: Clock) -> None:
        self._camera = camera
        self._clock = clock
        self._slots = slots
        self._updates = updates
        self._config_order = asyncio.Lock()
        self._newest_config = 0

    @asynccontextmanager
    async def perform(self, entry: CommandEntry, until: float, stop: Stop) -> AsyncIterator[Snapshot | ExecutionResult]:
        """What came of it; a picture keeps its place in memory until the block ends. Raises Stopped."""
        if entry.broken is not None:
            yield ExecutionResult("failed", Reason.BROKEN_COMMAND, entry.broken)
            return
        match entry.kind:
            case "update_config":
                yield await self._configure(entry, until, stop)
            case "unknown":
                yield ExecutionResult("failed", Reason.UNKNOWN_COMMAND, f"cmd {entry.cmd[:100]!r}")
            case "capture":
                await self._let_settings_go_first()
                async with AsyncExitStack() as held:
                    result: Snapshot | ExecutionResult
                    try:
                        result = await held.enter_async_context(self._slots.snapshot(until, stop))
                    except CameraTrouble as trouble:
                        result = ExecutionResult("failed", trouble.reason, trouble.detail, trouble.first_asked_at)
                    except TooLate:
                        detail = "the deadline passed before the camera's turn came"
                        result = ExecutionResult("expired", Reason.DEADLINE_PASSED, detail)
                    yield result
            case other:  # without it a kind that is missing here would end in no outcome; mypy names it
                assert_never(other)

    async def _let_settings_go_first(self) -> None:
        if not self._config_order.locked():
            return
        try:
            async with asyncio.timeout(CONFIG_HEADSTART), self._config_order:
                pass
        except TimeoutError:
            pass

    async def _configure(self, entry: CommandEntry, until: float, stop: Stop) -> ExecutionResult:
        """The camera service keeps them for a camera that is away; it is itself waited for. What nobody asked for by a
        trigger is offered until newer settings come, for no cloud sends it again.
        """
        self._newest_config += 1
        number = self._newest_config
        while True:
            try:
                async with self._config_order:
                    done = await apply_config(self._camera, self._updates, entry.config or {}, entry.trigger_id)
            except ConfigRefused as refused:
                log.warning("settings refused", trigger_id=entry.trigger_id, detail=str(refused))
                return ExecutionResult("failed", Reason.CONFIG_REFUSED, str(refused))
            except CameraTrouble as trouble:
                over = entry.trigger_id is not None and self._clock.boottime() + CONFIG_AGAIN >= until
                if over or number != self._newest_config:
                    return ExecutionResult("failed", trouble.reason, trouble.detail)
                if await stop.sleep(CONFIG_AGAIN):
                    raise Stopped from None
            else:
                log.info("settings", trigger_id=entry.trigger_id, detail=done)
                return ExecutionResult("executed", None, done)
