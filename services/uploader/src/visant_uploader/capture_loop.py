"""Takes commands up, has them executed, and commits each outcome: spool, then acknowledge, then release.

read -> has an outcome already?  acknowledge
     -> judge: execute | expire  a task each, at most IN_HAND
               park              waits for its cloud; never in the way of newer ones
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from visant_contract.outcome import Reason
from visant_contract.stream import CommandEntry, Deadline
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.kill_point import kill_point
from visant_runtime.lifecycle import Stop
from visant_uploader.camera_client import Snapshot
from visant_uploader.camera_turns import Stopped
from visant_uploader.capture_time import best
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.command_queue import CommandQueue, Queued
from visant_uploader.counters import Counters
from visant_uploader.debug_frames import DebugFrames
from visant_uploader.execution import Ended, Execution
from visant_uploader.judge import Execute, Expire, Moment, Park, Verdict, judge
from visant_uploader.outcomes import Outcomes, offset_for
from visant_uploader.spool import Spool, SpoolFull
from visant_uploader.spool_file import SpoolHeader
from visant_uploader.spool_folders import Destination

log = structlog.get_logger()

IN_HAND = 64
"""Commands executed side by side. They share the camera's turns; more would only wait."""
PARKED_MAX = 10_000
"""About 20 MB. With more, reading waits until their cloud has spoken."""
LOOK_AT_PARKED = 1.0
BLOCK = 1.0
"""Seconds that a read waits for new commands; a tenth of it while parked ones wait for their turn."""
RETRY_REDIS = 1.0
RETRY_DISK = 2.0

Released = Callable[[Destination, str], None]


@dataclass(frozen=True)
class Parked:
    """Waits for the cloud to ask again."""

    id: str
    command: CommandEntry


@dataclass(frozen=True)
class Due:
    """Waits no more, only for room."""

    id: str
    command: CommandEntry
    renewed: Deadline | None


class CaptureLoop:
    """`released` is told each outcome that delivery may take."""

    def __init__(
        self,
        queue: CommandQueue,
        execution: Execution,
        spool: Spool,
        watch: CloudWatch,
        outcomes: Outcomes,
        released: Released,
        *,
        ttl: float,
        frames: DebugFrames,
        counters: Counters,
        heartbeat: Heartbeat,
    ) -> None:
        self._queue = queue
        self._execution = execution
        self._spool = spool
        self._watch = watch
        self._outcomes = outcomes
        self._released = released
        self._ttl = ttl
        self._frames = frames
        self._counters = counters
        self._heartbeat = heartbeat
        self._in_hand: set[str] = set()
        self._triggers: set[tuple[str, str]] = set()
        self._parked: dict[str, Parked] = {}
        self._due: dict[str, Due] = {}
        self._leftover: list[tuple[Destination, str]] = []
        self._ended = asyncio.Event()
        self._disk_ok = True
        self._redis_ok = True

    async def run(self, stop: Stop) -> None:
        """Until stopped; then what is being committed is finished, what waits for the camera is given up."""
        self._heartbeat.expect("capture", 60)
        self._leftover = await asyncio.to_thread(self._spool.unreleased)
        looked_at_parked = 0.0
        async with asyncio.TaskGroup() as tasks:
            while not stop.is_set():
                self._heartbeat.beat("capture")
                now = self._watch.moment().boottime
                try:
                    if self._parked and now - looked_at_parked >= LOOK_AT_PARKED:
                        looked_at_parked = now
                        await self._look_at_parked()
                    await self._start_due(tasks, stop)
                    await self._read(tasks, stop)
                except RedisError as error:
                    self._redis(str(error) or type(error).__name__)
                    await stop.sleep(RETRY_REDIS)
                else:
                    self._redis(None)
        self._heartbeat.done("capture")

    async def _read(self, tasks: asyncio.TaskGroup, stop: Stop) -> None:
        """Takes up what there is room for; waits a moment where there is none."""
        room = IN_HAND - len(self._in_hand)
        if room <= 0 or not self._disk_ok or len(self._parked) + len(self._due) >= PARKED_MAX:
            self._ended.clear()
            try:
                async with asyncio.timeout(BLOCK):
                    await self._ended.wait()
            except TimeoutError:
                pass
            return
        queued = await self._queue.read(room, BLOCK / 10 if self._due else BLOCK)
        unknown = [one for one in queued if not self._knows(one.id)]
        renewed = await self._queue.renewals([one.id for one in unknown]) if unknown else {}
        for one in unknown:
            await self._take_up(one, renewed.get(one.id), tasks, stop)
        if self._leftover and self._queue.pending_read:
            await self._release_leftover()

    async def _take_up(self, one: Queued, renewed: Deadline | None, tasks: asyncio.TaskGroup, stop: Stop) -> None:
        command = one.command
        if command is None:
            log.error("a command that cannot be read, dropped", entry=one.id, problem=one.problem)
            self._counters.add("commands_unreadable")
            await self._queue.acknowledge(one.id)
            return
        if (command.cloud_id, command.trigger_id) in self._triggers:
            self._parked[one.id] = Parked(one.id, command)  # the same trigger twice: looked at again when it ended
            return
        name = self._outcome_of(command)
        if name is not None:
            await self._queue.acknowledge(one.id)
            await self._release(Destination(command.cloud_id, self._outcomes.device_id), name)
            return
        verdict = self._verdict(command, renewed, self._watch.moment())
        if isinstance(verdict, Park):
            self._parked[one.id] = Parked(one.id, command)
            return
        self._in_hand.add(one.id)
        if command.trigger_id is not None:
            self._triggers.add((command.cloud_id, command.trigger_id))
        tasks.create_task(self._work(one.id, command, verdict, stop))

    async def _look_at_parked(self) -> None:
        """Those whose deadline was renewed, and those that the cloud did not ask for again, become due."""
        renewed = {}
        if self._watch.latest_connected is not None:
            renewed = await self._queue.renewals(list(self._parked))
        now = self._watch.moment()
        for parked in list(self._parked.values()):
            busy = (parked.command.cloud_id, parked.command.trigger_id) in self._triggers
            if not busy and not isinstance(self._verdict(parked.command, renewed.get(parked.id), now), Park):
                del self._parked[parked.id]
                self._due[parked.id] = Due(parked.id, parked.command, renewed.get(parked.id))

    async def _start_due(self, tasks: asyncio.TaskGroup, stop: Stop) -> None:
        """Half of the room is left to newer commands."""
        for due in list(self._due.values())[: max(0, IN_HAND // 2 - len(self._in_hand))]:
            await self._take_up(Queued(due.id, due.command), due.renewed, tasks, stop)
            self._due.pop(due.id, None)

    def _knows(self, entry_id: str) -> bool:
        return entry_id in self._in_hand or entry_id in self._parked or entry_id in self._due

    def _verdict(self, command: CommandEntry, renewed: Deadline | None, now: Moment) -> Verdict:
        return judge(
            command,
            renewed,
            now,
            latest_connected=self._watch.latest_connected,
            first_connected=self._watch.first_connected,
            ttl=self._ttl,
        )

    def _outcome_of(self, command: CommandEntry) -> str | None:
        if command.trigger_id is None:
            return None
        return self._spool.find(command.cloud_id, self._outcomes.device_id, command.trigger_id)

    async def _work(self, entry_id: str, command: CommandEntry, verdict: Execute | Expire, stop: Stop) -> None:
        """One command from verdict to acknowledgement."""
        try:
            if isinstance(verdict, Expire):
                name = await self._commit(command, Ended("expired", verdict.reason, verdict.detail), stop)
            else:
                async with self._execution.perform(command, verdict.until, stop) as ended:
                    kill_point("capture.taken")
                    name = await self._commit(command, ended, stop)
            await self._acknowledge(entry_id, stop)
            kill_point("queue.acked")
            if name is not None:
                await self._release(Destination(command.cloud_id, self._outcomes.device_id), name)
        except Stopped:
            return
        finally:
            self._in_hand.discard(entry_id)
            self._triggers.discard((command.cloud_id, command.trigger_id or ""))
            self._ended.set()

    async def _commit(self, command: CommandEntry, ended: Snapshot | Ended, stop: Stop) -> str | None:
        """Writes the outcome, however long the disk refuses. Returns the file's name; None: nobody asked."""
        trigger_id = command.trigger_id
        if trigger_id is None:
            return None
        if isinstance(ended, Snapshot):
            header = self._outcomes.picture(command, trigger_id, ended)
            try:
                name = await asyncio.to_thread(self._spool.put, header, ended.jpeg)
            except SpoolFull as full:
                ended = Ended("failed", Reason.SPOOL_FULL, str(full))
            except OSError as error:
                ended = Ended("failed", Reason.SPOOL_FULL, f"the disk refused the picture: {error.strerror}")
            else:
                self._captured(header, ended)
                await self._save_frame(header, ended)
                return name
        self._counters.add(f"commands_{ended.status}")
        if ended.status != "executed":
            log.warning(ended.status, trigger_id=trigger_id, reason=ended.reason, detail=ended.detail)
        report = self._outcomes.report(command, trigger_id, ended.status, ended.reason, ended.detail)
        while True:
            try:
                name = await asyncio.to_thread(self._spool.put, report)
            except OSError as error:
                self._disk(error.strerror or str(error))
                if await stop.sleep(RETRY_DISK):
                    raise Stopped from None
            else:
                self._disk(None)
                return name

    def _captured(self, header: SpoolHeader, taken: Snapshot) -> None:
        self._counters.add("pictures_captured")
        self._counters.add("picture_bytes_captured", len(taken.jpeg))
        lag = self._watch.moment().boottime - taken.info.captured_boottime
        log.info("captured", trigger_id=header.trigger_id, bytes=len(taken.jpeg), seconds_to_disk=lag)

    async def _save_frame(self, header: SpoolHeader, taken: Snapshot) -> None:
        at, _ = best(header.time, offset_for(header, None), self._watch.moment())
        await asyncio.to_thread(self._frames.save, taken.jpeg, at, header.trigger_id)

    async def _acknowledge(self, entry_id: str, stop: Stop) -> None:
        """However long Redis is away. The outcome's file is there: at the next start it is only acknowledged."""
        while True:
            try:
                await self._queue.acknowledge(entry_id)
            except RedisError as error:
                self._redis(str(error) or type(error).__name__)
                if await stop.sleep(RETRY_REDIS):
                    raise Stopped from None
            else:
                return

    async def _release(self, destination: Destination, name: str) -> None:
        try:
            if await asyncio.to_thread(self._spool.release, destination, name):
                self._released(destination, name)
        except OSError as error:  # a full disk may have no block for the directory
            log.warning("an outcome could not be moved to the outbox, tried again", error=error.strerror)
            self._leftover.append((destination, name))

    async def _release_leftover(self) -> None:
        """Files whose command is in the queue no more: acknowledged just before the last end."""
        leftover, self._leftover = self._leftover, []
        for destination, name in leftover:
            await self._release(destination, name)

    def _redis(self, problem: str | None) -> None:
        if problem is not None and self._redis_ok:
            log.warning("Redis does not answer, waiting for it", problem=problem)
        if problem is None and not self._redis_ok:
            log.info("Redis answers again")
        self._redis_ok = problem is None
        self._heartbeat.degraded("redis", problem)

    def _disk(self, problem: str | None) -> None:
        if problem is not None and self._disk_ok:
            log.error("outcomes cannot be written, no more commands are taken up", problem=problem)
        if problem is None and not self._disk_ok:
            log.info("outcomes can be written again")
        self._disk_ok = problem is None
        self._heartbeat.degraded("spool", problem)
