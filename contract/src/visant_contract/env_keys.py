"""Every key of `.env.device`, which all services of a device share: what is none of them, and what it was meant to be.

Names that several processes agree on, as the rest of this package.
"""

import difflib
from collections.abc import Iterable

KNOWN = frozenset(
    {
        "DEVICE_ID",
        "API_URL",
        "DEVICE_TOKEN",
        "DEVICE_TOKEN_FILE",
        "CAMERA_SOURCE",
        "CAMERA_RESOLUTION",
        "CAMERA_WARMUP",
        "CAMERA_FPS",
        "CAMERA_JPEG_QUALITY",
        "CAMERA_STALL_AFTER",
        "CAMERA_FRESHNESS_MARGIN",
        "CAMERA_IDLE_AFTER",
        "CAMERA_STATE_DIR",
        "CAMERA_URL",
        "CAMERA_PORT",
        "HTTP_HOST",
        "HTTP_PORT",
        "HTTP_SOCKET",
        "CAPTURE_PATIENCE",
        "UPLOAD_TIMEOUT",
        "SPOOL_DIR",
        "SPOOL_MAX_BYTES",
        "SPOOL_MIN_FREE_BYTES",
        "SAVE_FRAMES_DIR",
        "STREAM_TIMEOUT",
        "RECONNECT_DELAY",
        "COMMAND_TTL",
        "TELEMETRY_INTERVAL",
        "METERED",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "TZ",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "HEARTBEAT_FILE",
        "UPDATE_URL",
        "UPDATE_CHANNEL",
        "UPDATE_PIN",
        "UPDATE_SOAK",
        "UPDATE_WINDOW",
        "UPDATE_SETTLE",
        "UPDATE_IDLE_WAIT",
        "UPDATE_START_TIMEOUT",
        "UPDATE_ENGINE_PATIENCE",
        "UPDATE_MIN_FREE_BYTES",
        "UPDATE_STATUS_FILE",
        "HOST_FACTS_FILE",
        "MIGRATION_PATIENCE",
        "VIDEO_GID",
        "REDIS_URL",
        "REDIS_MAXMEMORY",
        "REDIS_MIN_FREE_BYTES",
        "VISANT_VERSION",
        "VISANT_IMAGES",
        "VISANT_SPOOL",
        "VISANT_DEBUG_CAPTURES",
        "VISANT_PROJECT",
        "VISANT_KILL_POINT",
    }
)
"""Held equal to `.env.device.example` and what visantctl knows beside it by tests/unit/test_env_example.py."""
_LONGER = 2
"""Letters. (NIX_SSL_CERT_FILE is meant as it stands.)"""
_ALIKE = 0.8
"""Of difflib's ratio, from 0 to 1: a letter too many, too few, wrong or in another place."""


def misspelt(keys: Iterable[str]) -> list[str]:
    """A line for each of an environment's keys that is nearly one of ours; others are somebody else's.

    A key that nothing reads does nothing, whatever it was meant to do. (`visantctl doctor`, which reads the file
    itself, also names those that resemble none.)
    """
    found = []
    for key in sorted(keys):
        name = key.upper()
        alike = [] if name in KNOWN else [one for one in sorted(KNOWN) if abs(len(one) - len(name)) <= _LONGER]
        if meant := difflib.get_close_matches(name, alike, 1, _ALIKE):
            found.append(f"{key} is no setting, it does nothing: is {meant[0]} meant? Edit .env.device")
    return found
