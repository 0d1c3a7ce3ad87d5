"""Makes an outcome true: spool, then acknowledge, then release. In that order a crash loses and doubles nothing."""

import asyncio
from collections.abc import Callable

import structlog
from redis.exceptions import RedisError

from visant_contract.outcome import Reason
from visant_contract.stream import CommandEntry
from visant_runtime.kill_point import kill_point
from visant_runtime.lifecycle import Stop, Stopped
from visant_uploader.capture.camera_client import Snapshot
from visant_uploader.capture.debug_frames import DebugFrames
from visant_uploader.capture.executor import ExecutionResult
from visant_uploader.command_queue import CommandQueue
from visant_uploader.counters import Counters
from visant_uploader.degraded import Degraded
from visant_uploader.outcomes import Outcomes, offset_for
from visant_uploader.spool.figures import SpoolFull
from visant_uploader.spool.file_format import SpoolHeader
from visant_uploader.spool.layout import Destination
from visant_uploader.spool.store import Spool
from visant_uploader.timestamps import best

log = structlog.get_logger()

RETRY_REDIS = 1.0
RETRY_DISK = 2.0
DONE_KEPT = 10_000
"""Triggers; about 3 MB."""

Released = Callable[[Destination, str], None]


class OutcomeWriter:
    """`released` is told each outcome that delivery may take."""

    def __init__(
        self,
        spool: Spool,
        queue: CommandQueue,
        outcomes: Outcomes,
        frames: DebugFrames,
        degraded: Degraded,
        counters: Counters,
        released: Released,
    ) -> None:
        self._spool = spool
        self._queue = queue
        self._outcomes = outcomes
        self._frames = frames
        self._degraded = degraded
        self._counters = counters
        self._released = released
        self._leftover: list[tuple[Destination, str]] = []
        self._done: dict[tuple[str, str], None] = {}

    async def recall(self) -> None:
        """Finds the outcomes whose acknowledgement was not known to have happened at the last end."""
        self._leftover = await asyncio.to_thread(self._spool.unreleased)

    def outcome_of(self, command: CommandEntry) -> str | None:
        """The name of the outcome that is on the disk already."""
        if command.trigger_id is None:
            return None
        device = self._outcomes.device
        found = self._spool.find(command.cloud_id, device.id, command.trigger_id)
        before = self._outcomes.predecessor_of(command)
        if found is not None or before is None:
            return found
        # the plain cloud before this one sent it too, and what was taken may be on its way from its place to ours
        return self._spool.find(before, device.id, command.trigger_id) or self._spool.find(
            before, device.id, command.trigger_id, place=self._destination(command)
        )

    def is_done(self, command: CommandEntry) -> bool:
        """Whether this process has concluded the trigger before; its file may be delivered and gone."""
        scopes = (command.cloud_id, self._outcomes.predecessor_of(command))
        return command.trigger_id is not None and any((scope, command.trigger_id) in self._done for scope in scopes)

    async def repeat(self, entry_id: str, command: CommandEntry, name: str) -> None:
        """The outcome is there: only acknowledge. Raises RedisError."""
        await self._queue.acknowledge(entry_id)
        self._remember(command)
        await self._release(self._destination(command), name)

    async def drop(self, entry_id: str) -> None:
        """Acknowledges without an outcome. Raises RedisError."""
        await self._queue.acknowledge(entry_id)

    async def write(self, command: CommandEntry, result: Snapshot | ExecutionResult, stop: Stop) -> str | None:
        """Step one, however long the disk refuses: the outcome's file name, or None where nobody asked for one.

        Raises Stopped where the end of the process comes first.
        """
        trigger_id = command.trigger_id
        if trigger_id is None:
            return None
        if isinstance(result, Snapshot):
            header = self._outcomes.picture(command, trigger_id, result)
            try:
                name = await asyncio.to_thread(self._spool.put, header, result.jpeg)
            except SpoolFull as full:
                result = ExecutionResult("failed", Reason.SPOOL_FULL, str(full), result.first_asked_at)
            except OSError as error:
                said = f"the disk refused the picture: {error.strerror}"
                result = ExecutionResult("failed", Reason.SPOOL_FULL, said, result.first_asked_at)
            else:
                self._outcomes.note_spooled(name)
                self._captured(header, result)
                return name
        return await self._write_report(command, trigger_id, result, stop)

    async def conclude(self, entry_id: str, command: CommandEntry, name: str | None, stop: Stop) -> None:
        """Steps two and three, however long Redis is away. Raises Stopped."""
        await self._acknowledge(entry_id, stop)
        kill_point("queue.acked")
        self._remember(command)
        if name is not None:
            await self._release(self._destination(command), name)

    async def release_leftover(self) -> None:
        """For files whose command is in the queue no more: all that was pending has been looked at."""
        leftover, self._leftover = self._leftover, []
        for destination, name in leftover:
            await self._release(destination, name)

    async def _write_report(self, command: CommandEntry, trigger_id: str, result: ExecutionResult, stop: Stop) -> str:
        self._counters.add(f"commands_{result.status}")
        if result.status != "executed":
            log.warning(result.status, trigger_id=trigger_id, reason=result.reason, detail=result.detail)
        report = self._outcomes.report(
            command, trigger_id, result.status, result.reason, result.detail, result.asked_at
        )
        while True:
            try:
                name = await asyncio.to_thread(self._spool.put, report)
            except OSError as error:
                self._degraded.disk(error.strerror or str(error))
                if await stop.sleep(RETRY_DISK):
                    raise Stopped from None
            else:
                self._outcomes.note_spooled(name)
                self._degraded.disk(None)
                return name

    def _captured(self, header: SpoolHeader, snapshot: Snapshot) -> None:
        self._counters.add("pictures_captured")
        self._counters.add("picture_bytes_captured", len(snapshot.jpeg))
        now = self._outcomes.now()
        exposed = snapshot.info.captured_boottime
        log.info(
            "captured",
            trigger_id=header.trigger_id,
            bytes=len(snapshot.jpeg),
            seconds_to_exposure=exposed - snapshot.asked_at,
            seconds_to_disk=now.boottime - exposed,
        )
        at, _ = best(header.time, offset_for(header, None), now)
        self._frames.save(snapshot.jpeg, at, header.trigger_id)

    def _remember(self, command: CommandEntry) -> None:
        if command.trigger_id is not None:
            self._done[command.cloud_id, command.trigger_id] = None
            if len(self._done) > DONE_KEPT:
                del self._done[next(iter(self._done))]

    async def _acknowledge(self, entry_id: str, stop: Stop) -> None:
        while True:
            try:
                await self._queue.acknowledge(entry_id)
            except RedisError as error:
                self._degraded.redis(str(error) or type(error).__name__)
                if await stop.sleep(RETRY_REDIS):
                    raise Stopped from None  # the outcome's file is there: the next start only acknowledges
            else:
                return

    async def _release(self, destination: Destination, name: str) -> None:
        try:
            if await asyncio.to_thread(self._spool.release, destination, name):
                self._released(destination, name)
        except OSError as error:  # a full disk may have no block for the directory
            log.warning("an outcome could not be moved to the outbox, tried again", error=error.strerror)
            self._leftover.append((destination, name))

    def _destination(self, command: CommandEntry) -> Destination:
        return self._outcomes.device.destination(command.cloud_id)
