"""What one request may ask of many devices, and the jobs that do it."""

from abc import abstractmethod
from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.context import Cloud
from visant_cloud.fleet import actions
from visant_cloud.fleet.names import Name, Tag
from visant_cloud.jobs.kinds import After, EachDevice
from visant_cloud.store import devices, labels, trigger_creation
from visant_cloud.store.devices import Device
from visant_cloud.store.jobs import Job, Outcome

_UNKNOWN = Outcome(False, "there is no such device")
_DONE = Outcome(True)


class _Action(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Trigger(_Action):
    """A picture of each, now."""

    do: Literal["trigger"]
    expires_in: Annotated[float, Field(gt=0, le=86400)] | None = None
    """Seconds that each waits for its device; default MANUAL_TTL."""


class Schedule(_Action):
    """A picture every so many seconds; null: none."""

    do: Literal["schedule"]
    interval_seconds: Annotated[float, Field(ge=1, le=31 * 86400, allow_inf_nan=False)] | None


class Settings(_Action):
    """The settings of each, as `PUT /v1/devices/{device_id}/config` sets them."""

    do: Literal["settings"]
    config: dict[str, Any]


class _Labels(_Action):
    @model_validator(mode="after")
    def _says_something(self) -> "_Labels":
        add, remove = getattr(self, "add", []), getattr(self, "remove", [])
        if not add and not remove:
            raise ValueError("name at least one in add or remove")
        if set(add) & set(remove):
            raise ValueError(f"{sorted(set(add) & set(remove))[0]!r} is in add and in remove: take it out of one")
        return self


class Tags(_Labels):
    """Tags that each gets and loses."""

    do: Literal["tags"]
    add: Annotated[list[Tag], Field(max_length=labels.MAX_TAGS)] = []
    remove: Annotated[list[Tag], Field(max_length=labels.MAX_TAGS)] = []


class Groups(_Labels):
    """Groups that each joins and leaves, by name."""

    do: Literal["groups"]
    add: Annotated[list[Name], Field(max_length=20)] = []
    remove: Annotated[list[Name], Field(max_length=20)] = []


class Suspend(_Action):
    """None of them comes in before it is resumed."""

    do: Literal["suspend"]


class Resume(_Action):
    """They may come in again."""

    do: Literal["resume"]


Action = Annotated[Trigger | Schedule | Settings | Tags | Groups | Suspend | Resume, Field(discriminator="do")]


class _ToThoseThere(EachDevice):
    """Holds the devices of a batch; those that are gone have failed."""

    async def apply(
        self, connection: AsyncConnection, cloud: Cloud, job: Job, device_keys: list[str]
    ) -> tuple[dict[str, Outcome], After]:
        there = await devices.held_keys(connection, device_keys)
        outcomes = dict.fromkeys(device_keys, _UNKNOWN)
        found, after = await self.do(connection, cloud, job, there)
        return outcomes | found, after

    @abstractmethod
    async def do(
        self, connection: AsyncConnection, cloud: Cloud, job: Job, there: dict[str, Device]
    ) -> tuple[dict[str, Outcome], After]:
        """The same, of those that there are."""


class TriggerEach(_ToThoseThere):
    """A trigger of each; its detail is the trigger's id. Made twice, it would be the same one: the key is the job's."""

    async def do(
        self, connection: AsyncConnection, cloud: Cloud, job: Job, there: dict[str, Device]
    ) -> tuple[dict[str, Outcome], After]:
        lifetime = job.given.get("expires_in") or cloud.settings.manual_ttl
        outcomes = {}
        for key, device in there.items():
            if not device.active:
                outcomes[key] = Outcome(False, "it is suspended: resume it first")
                continue
            made, _ = await trigger_creation.create(
                connection, key, cloud.now(), lifetime, idempotency_key=f"job/{job.job_id}"
            )
            outcomes[key] = Outcome(True, made.trigger_id)
        return outcomes, partial(_all, cloud.hub.nudge, [key for key, one in outcomes.items() if one.ok])


class ScheduleEach(_ToThoseThere):
    """A schedule of each, spread over the interval as single ones are."""

    async def do(
        self, connection: AsyncConnection, cloud: Cloud, job: Job, there: dict[str, Device]
    ) -> tuple[dict[str, Outcome], After]:
        for key in there:
            await actions.schedule(connection, key, job.given["interval_seconds"], cloud.now())
        return dict.fromkeys(there, _DONE), _nothing


class ConfigureEach(_ToThoseThere):
    """Settings; of who is connected the detail is the trigger under which it answers."""

    async def do(
        self, connection: AsyncConnection, cloud: Cloud, job: Job, there: dict[str, Device]
    ) -> tuple[dict[str, Outcome], After]:
        connected = {key: cloud.hub.subscribers(key) > 0 for key in there}
        outcomes = {}
        for key in there:
            _, trigger_id = await actions.configure(
                connection, cloud, key, job.given["config"], connected=connected[key]
            )
            outcomes[key] = Outcome(True, trigger_id or "sent when it connects")

        def after() -> None:
            for key, there_now in connected.items():
                actions.told(cloud, key, connected=there_now)

        return outcomes, after


class TagEach(_ToThoseThere):
    """Tags."""

    async def do(
        self, connection: AsyncConnection, cloud: Cloud, job: Job, there: dict[str, Device]
    ) -> tuple[dict[str, Outcome], After]:
        add, remove = set(job.given["add"]), set(job.given["remove"])
        written = await labels.of_devices(connection, there)
        outcomes = {}
        for key in there:
            count = len(set(written.get(key, labels.NONE).tags) - remove | add)
            full = Outcome(False, f"it would have {count} tags, at most {labels.MAX_TAGS}: remove some")
            outcomes[key] = full if count > labels.MAX_TAGS else _DONE
        fitting = [key for key, one in outcomes.items() if one.ok]
        await labels.remove_tags(connection, fitting, remove)
        await labels.add_tags(connection, fitting, sorted(add))
        return outcomes, _nothing


class GroupEach(_ToThoseThere):
    """Groups. One that was deleted since the job was made fails it for all that are left."""

    async def do(
        self, connection: AsyncConnection, cloud: Cloud, job: Job, there: dict[str, Device]
    ) -> tuple[dict[str, Outcome], After]:
        known = await labels.group_ids(connection, job.organisation_id)
        add, remove = job.given["add"], job.given["remove"]
        held = await labels.hold_groups(connection, job.organisation_id, {known[name] for name in add if name in known})
        gone = [name for name in add if known.get(name) not in held]
        if gone:
            return dict.fromkeys(there, Outcome(False, f"group {gone[0]!r} is no more")), _nothing
        await labels.leave(connection, there, [known[name] for name in remove if name in known])
        await labels.join(connection, held, there)
        return dict.fromkeys(there, _DONE), _nothing


class AdmitEach(_ToThoseThere):
    """Suspended or resumed; the streams of whom that bars end."""

    def __init__(self, active: bool) -> None:
        self._active = active

    async def do(
        self, connection: AsyncConnection, cloud: Cloud, job: Job, there: dict[str, Device]
    ) -> tuple[dict[str, Outcome], After]:
        await devices.set_active(connection, there, self._active)
        return dict.fromkeys(there, _DONE), partial(_all, cloud.hub.disconnect, list(there))


def _all(does: Any, device_keys: Iterable[str]) -> None:
    for key in device_keys:
        does(key)


def _nothing() -> None:
    pass


KINDS: dict[str, EachDevice] = {
    "trigger": TriggerEach(),
    "schedule": ScheduleEach(),
    "settings": ConfigureEach(),
    "tags": TagEach(),
    "groups": GroupEach(),
    "suspend": AdmitEach(False),
    "resume": AdmitEach(True),
}
"""`do` of an action -> who does it."""
