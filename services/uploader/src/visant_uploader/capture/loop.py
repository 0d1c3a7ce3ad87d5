"""Takes commands up and has them executed, many side by side.

read -> has an outcome already?  acknowledge
     -> judge: execute | expire  a task each, at most IN_HAND
               park              waits for its cloud; never in the way of newer ones
"""

import asyncio
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from visant_contract.stream import CommandEntry, Deadline
from visant_runtime.clock import Moment
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.kill_point import kill_point
from visant_runtime.lifecycle import Stop, Stopped
from visant_uploader.capture.deadline import Execute, Expire, Park, Verdict, judge
from visant_uploader.capture.executor import Ended, Execution
from visant_uploader.capture.outcome_writer import Commit
from visant_uploader.cloud_watch import CloudWatch
from visant_uploader.command_queue import CommandQueue, Queued
from visant_uploader.counters import Counters
from visant_uploader.degraded import Conditions

log = structlog.get_logger()

IN_HAND = 64
"""Commands executed side by side. They share the camera's turns; more would only wait."""
PARKED_MAX = 10_000
"""About 20 MB. With more, reading waits until their cloud has spoken."""
LOOK_AT_PARKED = 1.0
BLOCK = 1.0
"""Seconds that a read waits for new commands; a tenth of it while parked ones wait for room."""
RETRY = 1.0


@dataclass(frozen=True)
class Waiting:
    """A command that was read and not taken up: parked, or due and waiting for room."""

    id: str
    command: CommandEntry
    renewed: Deadline | None = None


class CaptureLoop:
    """`ttl`: seconds that a plain cloud's command stays valid."""

    def __init__(
        self,
        queue: CommandQueue,
        execution: Execution,
        commit: Commit,
        watch: CloudWatch,
        conditions: Conditions,
        *,
        ttl: float,
        counters: Counters,
        heartbeat: Heartbeat,
    ) -> None:
        self._queue = queue
        self._execution = execution
        self._commit = commit
        self._watch = watch
        self._conditions = conditions
        self._ttl = ttl
        self._counters = counters
        self._heartbeat = heartbeat
        self._in_hand: set[str] = set()
        self._triggers: set[tuple[str, str]] = set()
        self._parked: dict[str, Waiting] = {}
        self._due: dict[str, Waiting] = {}
        self._renewed: set[str] = set()
        self._renewed_at = 0.0
        """CLOCK_BOOTTIME at which a replay was last seen to go on: a long one on a slow card takes its time."""
        self._ended = asyncio.Event()

    async def run(self, stop: Stop) -> None:
        """Until stopped; then what is being committed is finished, what waits for the camera is given up."""
        self._heartbeat.expect("capture", 60)
        await self._commit.recall()
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
                    self._conditions.redis(str(error) or type(error).__name__)
                    await stop.sleep(RETRY)
                else:
                    self._conditions.redis(None)
        self._heartbeat.done("capture")

    async def _read(self, tasks: asyncio.TaskGroup, stop: Stop) -> None:
        """Takes up what there is room for; waits a moment where there is none."""
        room = IN_HAND - len(self._in_hand)
        if room <= 0 or not self._conditions.disk_ok or len(self._parked) + len(self._due) >= PARKED_MAX:
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
        if renewed:  # the replay got to them before we did
            self._renewed_at = self._watch.moment().boottime
        for one in unknown:
            await self._consider(one, renewed.get(one.id), tasks, stop)
        if self._queue.pending_read:
            await self._commit.release_leftover()

    async def _consider(self, one: Queued, renewed: Deadline | None, tasks: asyncio.TaskGroup, stop: Stop) -> None:
        command = one.command
        if command is None:
            log.error("a command that cannot be read, dropped", entry=one.id, problem=one.problem)
            self._counters.add("commands_unreadable")
            await self._commit.drop(one.id)
        elif self._is_running(command):
            self._parked[one.id] = Waiting(one.id, command)  # the same trigger twice: looked at again when it ended
        elif (name := self._commit.outcome_of(command)) is not None:
            await self._commit.repeat(one.id, command, name)
        elif self._commit.is_done(command):
            await self._commit.drop(one.id)
        else:
            verdict = self._verdict(command, renewed, self._watch.moment())
            if isinstance(verdict, Park):
                self._parked[one.id] = Waiting(one.id, command)
            else:
                self._start(one.id, command, verdict, tasks, stop)

    def _start(
        self, entry_id: str, command: CommandEntry, verdict: Execute | Expire, tasks: asyncio.TaskGroup, stop: Stop
    ) -> None:
        self._in_hand.add(entry_id)
        if command.trigger_id is not None:
            self._triggers.add((command.cloud_id, command.trigger_id))
        tasks.create_task(self._work(entry_id, command, verdict, stop))

    async def _work(self, entry_id: str, command: CommandEntry, verdict: Execute | Expire, stop: Stop) -> None:
        """One command from verdict to acknowledgement."""
        try:
            if isinstance(verdict, Expire):
                name = await self._commit.write(command, Ended("expired", verdict.reason, verdict.detail), stop)
            else:
                async with self._execution.perform(command, verdict.until, stop) as ended:
                    kill_point("capture.taken")
                    name = await self._commit.write(command, ended, stop)
            await self._commit.conclude(entry_id, command, name, stop)
        except Stopped:
            return
        finally:
            self._in_hand.discard(entry_id)
            if command.trigger_id is not None:
                self._triggers.discard((command.cloud_id, command.trigger_id))
            self._ended.set()

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
                self._verdict(parked.command, deadline, now), Park
            ):
                del self._parked[parked.id]
                self._due[parked.id] = Waiting(parked.id, parked.command, deadline)

    async def _start_due(self, tasks: asyncio.TaskGroup, stop: Stop) -> None:
        """Half of the room is left to newer commands."""
        for due in list(self._due.values())[: max(0, IN_HAND // 2 - len(self._in_hand))]:
            await self._consider(Queued(due.id, due.command), due.renewed, tasks, stop)
            self._due.pop(due.id, None)

    def _knows(self, entry_id: str) -> bool:
        return entry_id in self._in_hand or entry_id in self._parked or entry_id in self._due

    def _is_running(self, command: CommandEntry) -> bool:
        return command.trigger_id is not None and (command.cloud_id, command.trigger_id) in self._triggers

    def _verdict(self, command: CommandEntry, renewed: Deadline | None, now: Moment) -> Verdict:
        latest = self._watch.latest_connected
        return judge(
            command,
            renewed,
            now,
            latest_connected=None if latest is None else max(latest, self._renewed_at),
            first_connected=self._watch.first_connected,
            ttl=self._ttl,
        )
