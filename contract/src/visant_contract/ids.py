"""Names that both ends agree on: device ids, trigger ids, and the key under which a trigger is remembered."""

import hashlib
import re
from typing import Annotated

from pydantic import StringConstraints

DEVICE_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What our cloud and our devices accept as a device id: it is part of a URL path and of file names."""

DeviceId = Annotated[str, StringConstraints(pattern=DEVICE_ID_PATTERN)]

TriggerId = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""Any text that a cloud chose, `/` and 300 characters included; it is never used as a path as it is."""


def valid_device_id(value: str) -> bool:
    """Whether `value` can name a device of ours."""
    return re.fullmatch(DEVICE_ID_PATTERN, value) is not None


def trigger_key(cloud_id: str, trigger_id: str) -> str:
    """64 hex digits that name a trigger of a cloud on this device: spool files and dedupe entries use it."""
    return hashlib.sha256(f"{cloud_id}\0{trigger_id}".encode()).hexdigest()
