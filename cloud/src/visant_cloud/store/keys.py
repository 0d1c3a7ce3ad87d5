"""The key of a device: its organisation and its id in one word, unique in the whole database.

Everything inside the cloud goes by it: rows, streams, the bell, folders and object names. The id alone is what the
device itself and its organisation say. Pure.
"""

import re

from visant_contract.ids import valid_device_id

DEFAULT_ORGANISATION = "default"
"""Where devices and people are that name no organisation: id-only old clients, AUTH=open."""

ORGANISATION_PATTERN = r"^[a-z0-9][a-z0-9-]{0,31}$"
_BETWEEN = "~"  # in no device id and no organisation id; safe in a path and in a URL


def valid_organisation_id(value: str) -> bool:
    """Whether `value` can name an organisation: 1 to 32 lower-case letters, digits or dashes, no dash first."""
    return re.fullmatch(ORGANISATION_PATTERN, value) is not None


def device_key(organisation_id: str, device_id: str) -> str:
    """`FLOOR1` in the default organisation (rows and folders of before stay as they are), `acme~FLOOR1` in another.

    Raises ValueError for what is no device id: `acme~FLOOR1` as an id would reach into another organisation.
    """
    if not valid_device_id(device_id):
        raise ValueError(f"no device id: {device_id[:100]!r}")
    return device_id if organisation_id == DEFAULT_ORGANISATION else f"{organisation_id}{_BETWEEN}{device_id}"


def device_id_of(key: str) -> str:
    """What the device calls itself."""
    return key.rpartition(_BETWEEN)[2]


def organisation_of(key: str) -> str:
    """Whose device it is."""
    return key.rpartition(_BETWEEN)[0] or DEFAULT_ORGANISATION
