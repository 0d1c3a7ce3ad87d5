"""From a message of the cloud to an entry of the command stream, its deadline included. Pure."""

from dataclasses import dataclass
from datetime import datetime

from visant_connector.cloud_clock import CloudClock
from visant_contract.command import CaptureCommand, Command, UnknownCommand, UpdateConfigCommand
from visant_contract.errors import BrokenMessage
from visant_contract.ids import trigger_key
from visant_contract.stream import CommandEntry, CommandKind, Deadline
from visant_runtime.clock import Moment


@dataclass(frozen=True)
class Scope:
    """The cloud that a command came from."""

    cloud_id: str
    plain: bool


@dataclass(frozen=True)
class Admittable:
    """An entry on its way into Redis."""

    entry: CommandEntry
    from_the_cloud: bool
    """The deadline counts from a time that the cloud named: a replay may renew it within the same boot."""

    @property
    def key(self) -> str | None:
        """What it is remembered by; None: not at all."""
        trigger_id = self.entry.trigger_id
        return None if trigger_id is None else trigger_key(self.entry.cloud_id, trigger_id)


def deadline(
    expires_at: datetime | None, issued_at: datetime | None, now: Moment, cloud: CloudClock, ttl: float
) -> tuple[float, bool]:
    """(CLOCK_BOOTTIME until which a command may be executed, whether the cloud named the time it counts from).

    `expires_at` counts by the cloud's clock. Where no server_time ever came, it counts by this device's wall clock
    if that is synchronised, else it is not usable. Without it a command lives `ttl` seconds, from `issued_at` where
    the cloud's clock is known (a replayed command must not yield a stale picture), else from its arrival.
    """
    fresh = now.boottime + ttl
    if expires_at is not None:
        at = cloud.at(expires_at.timestamp())
        if at is not None:
            return at, True
        if now.synchronised:
            return now.boottime + (expires_at - now.wall).total_seconds(), True
        return fresh, False
    if issued_at is not None:
        at = cloud.at(issued_at.timestamp())
        if at is not None:
            return min(at + ttl, fresh), True
    return fresh, False


def admittable(
    command: Command | BrokenMessage, scope: Scope, now: Moment, cloud: CloudClock, ttl: float
) -> Admittable | None:
    """What to admit for `command`; None where it names no trigger and this version cannot follow it."""
    if command.trigger_id is None and not isinstance(command, UpdateConfigCommand):
        return None
    expires_at = None if isinstance(command, BrokenMessage | UpdateConfigCommand) else command.expires_at
    issued_at = command.issued_at if isinstance(command, CaptureCommand) else None
    until, from_the_cloud = deadline(expires_at, issued_at, now, cloud, ttl)
    entry = CommandEntry(
        cloud_id=scope.cloud_id,
        plain=scope.plain,
        kind=_kind(command),
        cmd=command.cmd or "",
        trigger_id=command.trigger_id,
        trigger_type=command.type if isinstance(command, CaptureCommand) else "manual",
        issued_at=issued_at,
        expires_at=expires_at,
        admitted_wall=now.wall,
        admitted_synchronised=now.synchronised,
        admitted_boottime=now.boottime,
        deadline=Deadline(boot_id=now.boot_id, boottime=until),
        config=command.config if isinstance(command, UpdateConfigCommand) else None,
        broken=str(command) if isinstance(command, BrokenMessage) else None,
    )
    return Admittable(entry, from_the_cloud)


def _kind(command: Command | BrokenMessage) -> CommandKind:
    match command:  # without a last resort: mypy names the command that is missing here
        case CaptureCommand():
            return "capture"
        case UpdateConfigCommand():
            return "update_config"
        case UnknownCommand() | BrokenMessage():
            return "unknown"
