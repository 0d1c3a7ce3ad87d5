"""Which devices a request means: a filter, or a list of ids."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.context import Cloud
from visant_cloud.fleet.filter import LONGEST, FilterError, parse
from visant_cloud.problems import Refusal
from visant_cloud.store import device_search, devices
from visant_cloud.store.keys import device_key, organisation_of
from visant_cloud.store.scope import Scope
from visant_contract.ids import DeviceId

MOST = 10_000
"""Devices of one selection."""


class Selection(BaseModel):
    """Either a filter, whatever it chooses at that moment, or the ids of devices."""

    model_config = ConfigDict(extra="forbid", strict=True)
    filter: Annotated[str, Field(max_length=LONGEST)] | None = None
    """As of `GET /v1/devices`; empty: every device."""
    devices: Annotated[list[DeviceId], Field(min_length=1, max_length=MOST)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Selection":
        if (self.filter is None) == (self.devices is None):
            raise ValueError("name either filter or devices, and not both; an empty filter means every device")
        return self


@dataclass(frozen=True)
class Chosen:
    """The keys of devices that there are, in order, and ids of which there is none."""

    device_keys: list[str]
    unknown: list[str]


def streams_of(cloud: Cloud, organisation_id: str) -> dict[str, int]:
    """device_key -> open streams, of this organisation's devices that have any."""
    return {key: count for key, count in cloud.hub.connected().items() if organisation_of(key) == organisation_id}


async def resolve(connection: AsyncConnection, cloud: Cloud, organisation_id: str, selection: Selection) -> Chosen:
    """Raises Refusal for a filter that cannot be read, or chooses more than MOST."""
    if selection.devices is not None:
        wanted = {device_key(organisation_id, one): one for one in selection.devices}
        there = (await devices.of_keys(connection, wanted)).keys()
        return Chosen(sorted(there), [one for key, one in wanted.items() if key not in there])
    try:
        terms = parse(selection.filter or "")
        streams = streams_of(cloud, organisation_id)
        keys = await device_search.keys(connection, Scope(organisation_id), terms, streams, MOST + 1)
    except FilterError as error:
        raise Refusal(422, f"selection.{error}", "invalid") from None
    if len(keys) > MOST:
        raise Refusal(
            422, f"selection.filter: it chooses more than {MOST} devices: narrow it, by groups or id~", "too_many"
        )
    return Chosen(keys, [])
