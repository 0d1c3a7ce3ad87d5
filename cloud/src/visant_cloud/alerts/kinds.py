"""Every kind of cause, once: its words, how long it must last before somebody is told, and what it hides.

A kind that is added here can be opened, silenced, shown and told of; what finds it is in states.py. Pure.
"""

from dataclasses import dataclass

MINUTE = 60.0
HOUR = 3600.0


@dataclass(frozen=True)
class Kind:
    """Of a cause. `hold` and `clear` are seconds of an engine's own clock, which no time step reaches."""

    title: str
    """Follows who it is in a message: `FLOOR1: too hot`."""
    remedy: str
    hold: float = 0.0
    """It must last so long before an alert opens."""
    clear: float = 0.0
    """It must be gone so long before the alert is cleared: what comes and goes is one alert."""
    because: tuple[str, ...] = ()
    """Kinds of which it is a consequence: while one of them holds, no alert of this kind opens."""
    by_site: bool = False
    """Many devices of a site have it at once, for one reason: told of together."""
    alerts: bool = True
    """False: shown among the causes, and nobody is told."""


SILENT = "silent"
CAMERA = "camera"
FAILURES = "failures"
SLOT_MISSED = "slot_missed"
SPOOL = "spool"
DISK = "disk"
HEAT = "heat"
POWER = "power"
QUALITY = "quality"
CLOCK = "clock"
NO_TELEMETRY = "no_telemetry"
OTHER = "other"
CLOUD_DISK = "cloud_disk"
CHANNEL_DEAD = "channel_dead"
CERTIFICATE = "certificate"
TOKEN = "token"  # noqa: S105 - a kind of alert

KINDS: dict[str, Kind] = {
    SILENT: Kind(
        "silent",
        "Look whether it has power and network: the site's router first, then the device's lamps. It comes back by "
        "itself; what it took meanwhile is delivered then.",
        hold=90.0,  # beside the 90 s after which it counts as silent: a router that restarts takes 2 to 3 minutes
        by_site=True,
    ),
    CAMERA: Kind(
        "the camera gives no pictures",
        "Replug the camera, try another port or a powered hub; `visantctl doctor` on the device says more.",
        hold=MINUTE,  # a camera that is opened anew takes up to 15 s
        clear=2 * MINUTE,
        because=(SILENT,),
    ),
    FAILURES: Kind(
        "no picture several times in a row",
        "Look at the reasons of its last triggers; each has its remedy there.",
        because=(SILENT, CAMERA, SPOOL, NO_TELEMETRY),
    ),
    SLOT_MISSED: Kind(
        "a scheduled picture is missing",
        "Look at the reason of that trigger, and trigger by hand.",
        because=(SILENT, CAMERA, SPOOL, FAILURES, NO_TELEMETRY),
    ),
    SPOOL: Kind(
        "pictures cannot be delivered",
        "Restore its uplink, or raise SPOOL_MAX_BYTES; dead letters are seen by `visantctl spool`.",
        hold=5 * MINUTE,
        clear=10 * MINUTE,
        because=(SILENT,),
        by_site=True,
    ),
    DISK: Kind(
        "the disk is nearly full, or the card fails",
        "Run `visantctl doctor` on the device: it names what takes the space, and a card that must be replaced.",
        hold=5 * MINUTE,
        clear=10 * MINUTE,
        because=(SILENT,),
    ),
    HEAT: Kind(
        "too hot",
        "Give it air or a cooler; a Pi slows down at 80 degrees Celsius.",
        hold=10 * MINUTE,  # two reports: one peak is no heat
        clear=10 * MINUTE,
        because=(SILENT,),
    ),
    POWER: Kind(
        "too little voltage",
        "Use the official power supply and a short cable, and a powered hub for the camera.",
        clear=HOUR,  # it dips and recovers, again and again
        because=(SILENT,),
    ),
    QUALITY: Kind(
        "the pictures do not show what they should",
        "Look at the newest picture and at what is said of it; dismiss the verdict where it is wrong.",
        clear=10 * MINUTE,
        because=(SILENT, CAMERA),
    ),
    CLOCK: Kind(
        "the clock is wrong",
        "Let NTP through (UDP 123), or leave the time to the cloud: `visantctl doctor` says who sets it.",
        hold=10 * MINUTE,  # after a boot it takes minutes until NTP has answered
        clear=5 * MINUTE,
        because=(SILENT,),
    ),
    NO_TELEMETRY: Kind(
        "connected, and says nothing of its health",
        "Its uploader does not work: `visantctl status` and `visantctl logs uploader` on the device.",
        because=(SILENT,),
    ),
    OTHER: Kind(
        "a trouble",
        "Run `visantctl doctor` on the device.",
        alerts=False,
    ),
    CLOUD_DISK: Kind(
        "the disk is nearly full",
        "Set RETENTION_DAYS, enlarge the disk of DATA_DIR, or move pictures to a bucket (STORAGE_URL).",
        hold=MINUTE,
        clear=10 * MINUTE,
    ),
    CHANNEL_DEAD: Kind(
        "messages cannot be delivered",
        "Look at its last answer, mend its address, and press test.",
    ),
    CERTIFICATE: Kind(
        "the certificate is about to expire",
        "Look why the reverse proxy does not renew it: its log, port 80 from outside, the name's DNS record.",
        hold=MINUTE,
        clear=10 * MINUTE,  # after a start it is not known yet
    ),
    TOKEN: Kind(
        "an API token is about to expire",
        "Make a new one and give it to the program that uses it; then remove the old one.",
        hold=MINUTE,
    ),
}


ALERTING = tuple(name for name, kind in KINDS.items() if kind.alerts)
_OF_THE_CLOUD = (CLOUD_DISK, CHANNEL_DEAD, CERTIFICATE, TOKEN)
OF_A_DEVICE = tuple(name for name in ALERTING if name not in _OF_THE_CLOUD)
