"""Reads commands and has them executed, many side by side.

read -> has an outcome already?  acknowledge
     -> deadline: execute | expire  a task each, at most IN_HAND
                  park              waits for its cloud; never in the way of newer ones
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from visant_contract.stream import CommandEntry, Deadline
from visant_runtime.clock import Moment
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.kill_point import kill_point
from visant_runtime.lifecycle import Stop, Stopped
from visant_uploader.capture.deadline import Decision, Execute, Expire, Park, check_deadline
from visant_uploader.capture.executor import ExecutionResult, Executor
from visant_uploader.capture.outcome_writer import OutcomeWriter
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.command_queue import CommandQueue, Queued
from visant_uploader.counters import Counters
from visant_uploader.degraded import Degraded

log = structlog.get_logger()

IN_HAND = 64
"""Commands executed side by side. They share the camera's slots; more would only wait."""
PARKED_MAX = 10_000
"""About 20 MB. With more, reading waits until their cloud has spoken."""
LOOK_AT_PARKED = 1.0
BLOCK = 1.0
"""Seconds that a read waits for new commands; a tenth of it while parked ones wait for room."""
RETRY = 1.0
SURE = 10.0
"""Seconds left to a command whose deadline need not be looked at again: longer than Redis may take to answer."""
SLACK = 60.0
"""Seconds beyond a command's deadline by which its picture is there, or the reason why not."""


@dataclass(frozen=True)
class Unstarted:
    """A command that was read and not started: parked, or due and waiting for room."""

    id: str
    command: CommandEntry
    renewed: Deadline | None = None


class CaptureLoop:
    """`ttl`: seconds that a plain cloud's command stays valid."""

    def __init__(
        self,
        queue: CommandQueue,
        executor: Executor,
        writer: OutcomeWriter,
        watch: CloudWatch,
        degraded: Degraded,
        *,
        ttl: float,
        counters: Counters,
        heartbeat: Heartbeat,
    ) -> None:
        self._queue = queue
        self._executor = executor
        self._writer = writer
        self._watch = watch
        self._degraded = degraded
        self._ttl = ttl
        self._counters = counters
        self._heartbeat = heartbeat
        self._in_hand: set[str] = set()
        self._triggers: set[tuple[str, str]] = set()
        self._parked: dict[str, Unstarted] = {}
        self._due: dict[str, Unstarted] = {}
        self._renewed: set[str] = set()
        self._renewed_at = 0.0
        """CLOCK_BOOTTIME at which a replay was last seen to go on: a long one on a slow card takes its time."""
        self._finished = asyncio.Event()

    async def run(self, stop: Stop) -> None:
        """Until stopped; then what is being written is finished, what waits for the camera is given up."""
        self._heartbeat.expect("capture", 60)
        await self._writer.recall()
        looked_at_parked = 0.0
        async with asyncio.TaskGroup() as tasks:
            while not stop.is_set():
                self._heartbeat.beat("capture")
                now = self._watch.moment()
                try:
                    if self._parked and now.boottime - looked_at_parked >= LOOK_AT_PARKED:
                        looked_at_parked = now.boottime
                        await self._look_at_parked(now)
                    await self._start_due(tasks, stop)
                    await self._read(tasks, stop)
                except RedisError as error:
                    self._queue.read_again()  # a batch may have been left in the middle
                    self._degraded.redis(str(error) or type(error).__name__)
                    await stop.sleep(RETRY)
                else:
                    self._degraded.redis(None)
        self._heartbeat.done("capture")

    async def _read(self, tasks: asyncio.TaskGroup, stop: Stop) -> None:
        """Starts what there is room for; waits a moment where there is none."""
        room = IN_HAND - len(self._in_hand)
        if room <= 0 or not self._degraded.disk_ok or len(self._parked) + len(self._due) >= PARKED_MAX:
            self._finished.clear()
            try:
                async with asyncio.timeout(BLOCK):
                    await self._finished.wait()
            except TimeoutError:
                pass
            return
        queued = await self._queue.read(room, BLOCK / 10 if self._due else BLOCK)
        unknown = [one for one in queued if not self._knows(one.id)]
        now = self._watch.moment()
        unsure = [one.id for one in unknown if not self._is_in_time(one, now)]
        renewed = await self._queue.renewals(unsure) if unsure else {}
        if renewed:  # the replay got to them before we did
            self._renewed_at = self._watch.moment().boottime
        for one in unknown:
            await self._consider(one, renewed.get(one.id), tasks, stop)
        if self._queue.pending_read:
            await self._writer.release_leftover()

    async def _consider(self, one: Queued, renewed: Deadline | None, tasks: asyncio.TaskGroup, stop: Stop) -> None:
        command = one.command
        if command is None:
            log.error("a command that cannot be read, dropped", entry=one.id, problem=one.problem)
            self._counters.add("commands_unreadable")
            await self._writer.drop(one.id)
            return
        if self._watch.cloud is None or self._watch.cloud.cloud_id != command.cloud_id:
            await self._watch.look()  # a new cloud's first commands: has it taken over from another one?
        if self._is_running(command):
            self._parked[one.id] = Unstarted(one.id, command)  # the same trigger twice: looked at again when it ended
        elif (name := self._writer.outcome_of(command)) is not None:
            await self._writer.repeat(one.id, command, name)
        elif self._writer.is_done(command):
            await self._writer.drop(one.id)
        else:
            decision = self._decide(command, renewed, self._watch.moment())
            if isinstance(decision, Park):
                self._parked[one.id] = Unstarted(one.id, command)
            else:
                self._start(one.id, command, decision, tasks, stop)

    def _start(
        self, entry_id: str, command: CommandEntry, decision: Execute | Expire, tasks: asyncio.TaskGroup, stop: Stop
    ) -> None:
        self._in_hand.add(entry_id)
        if command.trigger_id is not None:
            self._triggers.add((command.cloud_id, command.trigger_id))
        tasks.create_task(self._work(entry_id, command, decision, stop))

    async def _work(self, entry_id: str, command: CommandEntry, decision: Execute | Expire, stop: Stop) -> None:
        """One command from decision to acknowledgement."""
        try:
            if isinstance(decision, Expire):
                expired = ExecutionResult("expired", decision.reason, decision.detail)
                name = await self._writer.write(command, expired, stop)
            else:
                within = max(0.0, decision.until - self._watch.moment().boottime) + SLACK
                async with AsyncExitStack() as held:
                    with self._heartbeat.work(f"{command.kind} {command.trigger_id}", within):
                        result = await held.enter_async_context(self._executor.perform(command, decision.until, stop))
                    kill_point("capture.taken")
                    name = await self._writer.write(command, result, stop)
            await self._writer.conclude(entry_id, command, name, stop)
        except Stopped:
            return
        finally:
            self._in_hand.discard(entry_id)
            if command.trigger_id is not None:
                self._triggers.discard((command.cloud_id, command.trigger_id))
            self._finished.set()

    async def _look_at_parked(self, now: Moment) -> None:
        """Those whose deadline was renewed, and those that the cloud did not ask for again, become due."""
        renewed = {}
        if self._watch.latest_connected is not None:
            renewed = await self._queue.renewals(list(self._parked))
            if not renewed.keys() <= self._renewed:
                self._renewed_at = now.boottime
            self._renewed = set(renewed)
        for parked in list(self._parked.values()):
            deadline = renewed.get(parked.id)
            if not self._is_running(parked.command) and not isinstance(
                self._decide(parked.command, deadline, now), Park
            ):
                del self._parked[parked.id]
                self._due[parked.id] = Unstarted(parked.id, parked.command, deadline)

    async def _start_due(self, tasks: asyncio.TaskGroup, stop: Stop) -> None:
        """Half of the room is left to newer commands."""
        for due in list(self._due.values())[: max(0, IN_HAND // 2 - len(self._in_hand))]:
            await self._consider(Queued(due.id, due.command), due.renewed, tasks, stop)
            self._due.pop(due.id, None)

    def _is_in_time(self, one: Queued, now: Moment) -> bool:
        """By its own deadline, which a replay can only put off: Redis need not be asked for a later one."""
        if one.command is None:
            return False
        decision = self._decide(one.command, None, now)
        return isinstance(decision, Execute) and decision.until - now.boottime > SURE

    def _knows(self, entry_id: str) -> bool:
        return entry_id in self._in_hand or entry_id in self._parked or entry_id in self._due

    def _is_running(self, command: CommandEntry) -> bool:
        return command.trigger_id is not None and (command.cloud_id, command.trigger_id) in self._triggers

    def _decide(self, command: CommandEntry, renewed: Deadline | None, now: Moment) -> Decision:
        latest = self._watch.latest_connected
        return check_deadline(
            command,
            renewed,
            now,
            latest_connected=None if latest is None else max(latest, self._renewed_at),
            first_connected=self._watch.first_connected,
            ttl=self._ttl,
        )
