"""What the cloud may tell a device to do, and how one SSE `data:` line becomes a typed value."""

import json
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from visant_contract.errors import BrokenMessage
from visant_contract.ids import TriggerId
from visant_contract.sse import Connected, Ping

TriggerType = Literal["manual", "scheduled"]

WORD_MAX = 100
"""Characters of a word that a cloud chose: it is carried into queue, spool and log."""

Word = Annotated[str, StringConstraints(max_length=WORD_MAX)]


class CaptureCommand(BaseModel):
    """Take one picture. `issued_at` and `expires_at` (the cloud's clock) are extensions."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cmd: Literal["capture"] = "capture"
    trigger_id: TriggerId
    type: Word = "manual"
    """`manual` or `scheduled`; other words of a plain cloud are carried through."""
    issued_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None


class UpdateConfigCommand(BaseModel):
    """Apply settings. Camera keys go to the camera's own interface, others are logged."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cmd: Literal["update_config"] = "update_config"
    trigger_id: TriggerId | None = None
    config: dict[str, Any]


class UnknownCommand(BaseModel):
    """A command that this version does not know; with a trigger_id it is admitted and answered like others."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cmd: Word
    trigger_id: TriggerId | None = None
    expires_at: AwareDatetime | None = None


class UnknownEvent(BaseModel):
    """An event that this version does not know: logged, never fatal."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event: str


Command = CaptureCommand | UpdateConfigCommand | UnknownCommand
Message = Connected | Ping | Command | UnknownEvent

_EVENTS: dict[str, type[Connected] | type[Ping]] = {"connected": Connected, "ping": Ping}
_COMMANDS: dict[str, type[CaptureCommand] | type[UpdateConfigCommand]] = {
    "capture": CaptureCommand,
    "update_config": UpdateConfigCommand,
}


def parse_message(data: str) -> Message:
    """One SSE `data:` value as a typed message.

    Raises BrokenMessage, with one line that says what is wrong, for anything that is not a JSON object with a
    text `cmd` or `event`, for a command whose known fields have wrong types, and for a `connected` whose `cloud_id`
    has. Other fields of an event are read one by one. What it returns can be written as JSON again.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BrokenMessage(f"not JSON ({error}): {data[:80]!r}") from None
    if not isinstance(found, dict):
        raise BrokenMessage(f"not a JSON object: {data[:80]!r}")
    name, kind = found.get("cmd"), "cmd"
    if name is None:
        name, kind = found.get("event"), "event"
    if not isinstance(name, str):
        raise BrokenMessage(f"neither a text `cmd` nor a text `event`: {data[:80]!r}")
    if kind == "event" and name in _EVENTS:
        return _EVENTS[name].read(found)
    model: type[BaseModel] = UnknownEvent if kind == "event" else _COMMANDS.get(name, UnknownCommand)
    try:
        message = model.model_validate(found)
        message.model_dump_json()  # half a surrogate pair, or too deep: readable, but nothing can carry it on
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        why = f"{where}: {first['msg']}"
    except PydanticSerializationError as error:
        why = str(error)
    else:
        return message  # type: ignore[return-value]
    named = f"{kind} {name[:80]!r}: {why[:150]}"
    if kind == "cmd" and _is_text(name) and (trigger_id := _trigger_id(found)) is not None:
        raise BrokenMessage(named, cmd=name[:WORD_MAX], trigger_id=trigger_id)
    raise BrokenMessage(named)


_TRIGGER_ID: TypeAdapter[str] = TypeAdapter(TriggerId)


def _trigger_id(found: dict[str, Any]) -> str | None:
    try:
        return _TRIGGER_ID.validate_python(found.get("trigger_id"))
    except ValidationError:
        return None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
