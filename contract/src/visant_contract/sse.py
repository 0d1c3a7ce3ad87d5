"""The events that a cloud sends beside commands: `connected` and `ping`.

A plain (v2.0) cloud sends only `event` and `device_id`; every other field is an extension and optional. Each is read
alone (`read`): one that cannot be read says nothing, and takes nothing else with it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic_core import PydanticSerializationError

from visant_contract.errors import BrokenMessage

MAX_EVENT_BYTES = 1 << 20
"""A longer event is not read into memory; no command of ours comes near (the longest holds a config)."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    needed: ClassVar[frozenset[str]] = frozenset()
    """Fields without which the event must not be believed, where they are there at all."""

    _unread: tuple[str, ...] = PrivateAttr(default=())

    @property
    def unread(self) -> tuple[str, ...]:
        """`name: why`, of each field that was there and could not be read."""
        return self._unread

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Self:
        """The event of a JSON object. Raises BrokenMessage where a needed field cannot be read."""
        fields: dict[str, Any] = {}
        unread = []
        for name in cls.model_fields.keys() & found.keys():
            why = _unreadable(cls, name, found[name])
            if why is None:
                fields[name] = found[name]
            elif name in cls.needed:
                raise BrokenMessage(f"event {cls.model_fields['event'].default!r}: {name}: {why}")
            else:
                unread.append(f"{name}: {why}")
        event = cls.model_validate(fields)
        event._unread = tuple(sorted(unread))
        return event


class Connected(_Event):
    """First event of every stream."""

    needed: ClassVar[frozenset[str]] = frozenset({"cloud_id"})

    event: Literal["connected"] = "connected"
    device_id: str | None = None
    cloud_id: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")] | None = None
    """Random, born with the cloud's database: a reset database is another cloud. A header of each upload names it."""
    server_time: AwareDatetime | None = None
    ping_every: Annotated[float, Field(gt=0, le=3600)] | None = None
    """Seconds between pings."""
    duplicate: bool = False
    """Another stream already holds this device id."""
    config: dict[str, Any] | None = None
    accepts: Annotated[tuple[Annotated[str, Field(max_length=100)], ...], Field(max_length=20)] = ()
    """Media types in which this cloud takes captures beside JSON."""
    succeeds: Annotated[bool, Field(strict=True)] = False
    """This cloud takes over what waits for the plain cloud of the API_URL that this stream was opened on."""


class Ping(_Event):
    """Keeps the stream alive and shows gaps."""

    event: Literal["ping"] = "ping"
    server_time: AwareDatetime | None = None
    last_id: str | None = None
    """SSE id of the last command sent on this stream; a device that has not seen it reconnects."""
    sent: int | None = None
    """Commands sent on this stream so far: `last_id` alone hides a gap once a later command has come through."""


def _unreadable(model: type[_Event], name: str, value: object) -> str | None:
    """Why `value` is none for the field `name` of `model`, in at most 150 characters; None: it is one."""
    try:
        model.model_validate(
            {name: value}
        ).model_dump_json()  # half a surrogate pair: readable, but never written again
    except ValidationError as error:
        return error.errors()[0]["msg"][:150]
    except PydanticSerializationError as error:
        return str(error)[:150]
    return None
