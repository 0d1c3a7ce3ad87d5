"""What connector and uploader say to each other through Redis: names, and the entry of the command stream.

visant:commands            stream; one entry a command, XADDed by the admission script, never trimmed
visant:admitted            sorted set; member trigger_key, score a running number: the dedupe memory
visant:admitted:entry      hash; trigger_key -> stream entry id, same members as visant:admitted
visant:deadlines           hash; stream entry id -> Deadline JSON: what a replay renewed
visant:cloud               string; CloudSeen JSON: the cloud whose stream was confirmed last
visant:network             string; NetworkUse JSON of the connector; in no append-only file: it costs the card nothing
"""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

STREAM = "visant:commands"
GROUP = "uploader"
ADMITTED = "visant:admitted"
ADMITTED_ENTRY = "visant:admitted:entry"
DEADLINES = "visant:deadlines"
CLOUD = "visant:cloud"
NETWORK = "visant:network"
ENTRY_FIELD = "entry"
"""The one field of a stream entry; its value is CommandEntry JSON."""

ADMITTED_KEPT = 20_000
"""Dedupe entries kept, by count: a TTL would end with a clock that jumps."""


REPLAY_WITHIN = 10.0
"""Seconds after `connected` in which a cloud has replayed what it still wants."""


class Deadline(BaseModel):
    """Until when a command may be executed, on CLOCK_BOOTTIME of one boot. Seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    boot_id: str
    boottime: float


CommandKind = Literal["capture", "update_config", "unknown"]
"""What the uploader does with a command; `unknown`: it answers."""


class CommandEntry(BaseModel):
    """One admitted command."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cloud_id: str
    """The cloud's own id, or the API_URL where a plain cloud names none."""
    plain: bool
    """The cloud named no cloud_id: it replays nothing and knows no outcomes."""
    kind: CommandKind
    cmd: str
    """The word the cloud used."""
    trigger_id: str | None
    """None: settings that came with `connected` or without an id; applied, never answered, never deduplicated."""
    trigger_type: str = "manual"
    issued_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    admitted_wall: AwareDatetime
    admitted_synchronised: bool
    admitted_boottime: float | None = None
    """CLOCK_BOOTTIME, seconds, in the boot of `deadline`; None in an entry of a release that did not say it."""
    deadline: Deadline
    config: dict[str, Any] | None = None
    broken: str | None = None
    """Why the command's fields could not be read: kind is `unknown`, the outcome `failed: broken_command`."""


class CloudSeen(BaseModel):
    """Written by the connector at each `connected`, read by the uploader."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    api_url: str
    cloud_id: str
    plain: bool
    boot_id: str
    connected_boottime: float
    """CLOCK_BOOTTIME of the confirmation, seconds."""
    clock_offset: float | None = None
    """Cloud's epoch seconds minus CLOCK_BOOTTIME, by the smallest lag seen; None where no server_time came."""
    succeeds: bool = False
    """This cloud takes over what waits for the plain cloud of `api_url`."""
    accepts: tuple[str, ...] = ()
    """Media types in which the cloud takes captures beside JSON."""
    cut_short: bool = False
    """This stream ended before a replay can be counted on to have come whole; the next one replays again."""
