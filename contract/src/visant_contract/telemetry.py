"""Health that a device tells its cloud: `POST /v1/devices/{device_id}/telemetry`."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

_LIMIT = 2.0**63


def _usable(value: Any) -> Any:
    """One bad number must not cost the whole report: NaN, infinities and what no counter reaches become None."""
    try:
        return value if abs(float(value)) < _LIMIT else None
    except OverflowError:
        return None
    except (TypeError, ValueError):
        return value  # pydantic says what is wrong with it


def _usable_only(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: number for key, number in value.items() if _usable(number) is not None}


Word = Annotated[str, Field(max_length=100)]
Number = Annotated[float | None, BeforeValidator(_usable)]
Count = Annotated[int | None, BeforeValidator(_usable)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CameraHealth(_Part):
    """As the camera's `/state` says; `state` is `ok` or a reason."""

    state: str
    detail: str | None = None
    width: Count = None
    height: Count = None
    fps: Number = None
    bad_frames: Count = None
    state_age: Number = None
    """Seconds that it has been in this state, as far as the camera service knows; where that does not answer, the
    uploader."""
    settings: dict[str, str] | None = None
    """What the cloud wants of the camera: setting to `applied`, `waiting`, `unknown` or `refused: why`."""


class SpoolHealth(_Part):
    """Undelivered outcomes on the device."""

    pictures: Count = None
    reports: Count = None
    bytes: Count = None
    limit_bytes: Count = None
    oldest_age: Number = None
    """Seconds since the oldest waiting file was written."""
    held: Count = 0
    """Files of another cloud."""
    dead_letter: Count = 0
    quarantine: Count = 0
    days_left: Number = None
    """Days until the picture limit is reached at the rate of the last day; None: unknown."""


class ClockHealth(_Part):
    wall: AwareDatetime
    synchronised: bool
    cloud_offset: Number = None
    """Seconds that the device's wall clock is ahead of the cloud's."""


class NetworkUse(_Part):
    """What one service sent and received since it started: the bytes of its container's interfaces but loopback, as the
    kernel counts them, headers of Ethernet, IP, TCP and TLS included. Of a process without a container: the machine's.
    """

    seconds: Number = None
    """Since it started."""
    received_bytes: Count = None
    sent_bytes: Count = None


class DiskSpace(_Part):
    """Of one file system, as an ordinary user may still use it."""

    free_bytes: Count = None
    total_bytes: Count = None
    free_files: Count = None
    """Inodes; None where the file system has no fixed number of them."""
    total_files: Count = None


class CardHealth(_Part):
    """The device's SD card or eMMC."""

    read_only: bool | None = None
    """The kernel met an error and writes to the root no more."""
    errors: Count = None
    """Counted by ext4 since the file systems were made, over all of them."""
    life_used_percent: Count = None
    """At most so much is used, in steps of 10 (JEDEC eMMC 5.0, DEVICE_LIFE_TIME_EST); above 100: more than it was made
    for. None: the card does not say."""
    pre_eol: Count = None
    """Spare blocks (JEDEC eMMC 5.0, PRE_EOL_INFO): 1 normal, 2: 80 % of them are used, 3: urgent."""
    written_bytes: Count = None
    """By ext4 since the file systems were made, over all of them."""
    bytes_a_day: Number = None
    """Written at the rate since boot; None in the first hour of it."""


class PowerHealth(_Part):
    """What the Pi's firmware measures; None: this host cannot tell."""

    undervoltage: bool | None = None
    undervoltage_since_boot: bool | None = None
    throttled: bool | None = None
    """The processor is slowed down, for heat or for want of voltage."""
    throttled_since_boot: bool | None = None


class RadioSignal(_Part):
    """Of one wireless interface in use."""

    dbm: Number = None
    quality_percent: Number = None
    """As the kernel's table says it, of its 70; None where only the level is known."""


class SecurityUpdates(_Part):
    """Of the host's Debian."""

    pending: Count = None
    """Packages; None: apt gave no answer, or there is no apt."""
    since: AwareDatetime | None = None
    """When the first of them was seen, by a synchronised clock."""


class HostFacts(_Part):
    """What only the host knows, as visantctl read it there. Too old to be believed: `age` is told alone."""

    age: Number = None
    """Seconds since it was read."""
    clock_source: Word | None = None
    """Who keeps the clock: `ntp`, `cloud` (visant-clock.timer) or `none`."""
    engine_disk: DiskSpace | None = None
    """Where the Docker Engine has its data."""
    card: CardHealth | None = None
    power: PowerHealth | None = None
    uplink: Word | None = None
    """Network interface of the default route; a cable where it is none of `radios`."""
    radios: Annotated[dict[Word, RadioSignal], Field(max_length=8)] = Field(default_factory=dict)
    """By interface."""
    engine: Word | None = None
    """The Docker Engine's version."""
    release: Word | None = None
    """The release that should run."""
    restarts: Annotated[dict[Word, int], BeforeValidator(_usable_only), Field(max_length=32)] = Field(
        default_factory=dict
    )
    """By service: how often the Engine started it again by itself since the last boot, update or restart by hand."""
    security_updates: SecurityUpdates | None = None
    reboot_wanted: bool | None = None
    """An update of the host, of its kernel above all, waits for a restart."""


class Telemetry(BaseModel):
    """Every part is optional: a device says what it knows."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    device_version: str
    boot_id: str | None = None
    uptime: Number = None
    """Seconds since boot."""
    camera: CameraHealth | None = None
    spool: SpoolHealth | None = None
    clock: ClockHealth | None = None
    disk_free_bytes: Count = None
    """Of the disk that holds the spool."""
    disk_total_bytes: Count = None
    temperature: Number = None
    """Degrees Celsius."""
    state: Literal["ok", "degraded"] = "ok"
    reasons: list[str] = Field(default_factory=list)
    versions: dict[str, str] = Field(default_factory=dict)
    update: dict[str, Any] | None = None
    """Result of the last update, as the updater wrote it."""
    host: HostFacts | None = None
    """None: nobody on the host says anything (no visantctl there, or an older one)."""
    metered: bool | None = None
    """METERED, as it is set there."""
    network: dict[str, NetworkUse] = Field(default_factory=dict)
    """By service, of those that speak to the cloud; the connector's is as old as its last look (20 s)."""
    counters: Annotated[dict[str, float], BeforeValidator(_usable_only)] = Field(default_factory=dict)
