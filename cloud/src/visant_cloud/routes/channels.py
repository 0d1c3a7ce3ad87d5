"""Channels: where messages about alerts go, whether they arrive, and sending them once more."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from visant_cloud.access import audit
from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Admin, Caller, Operator
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.alerts import words
from visant_cloud.alerts.rules import KindName
from visant_cloud.channels import apprise, email, webhook
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal
from visant_cloud.routes.alerts import Number
from visant_cloud.routes.devices import ONE_LINE
from visant_cloud.store import channels, deliveries
from visant_cloud.store.channels import Channel
from visant_cloud.views import alerts_json, answers

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(clean_json)], tags=["operator"])
_MAX_CHANNELS = 50

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=ONE_LINE)]
Target = Annotated[str, Field(min_length=1, max_length=2000)]
Kinds = Annotated[list[KindName], Field(min_length=1, max_length=50)]


class NewChannel(BaseModel):
    """Body of `POST /v1/channels`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["webhook", "email", "apprise"]
    name: Name
    target: Target
    """A URL, or addresses with commas between. An Apprise URL is kept as a secret and never shown again."""
    kinds: Kinds | None = None
    """Only alerts of these; null: of all."""


class ChannelChange(BaseModel):
    """Body of `PATCH /v1/channels/{channel_id}`; what is left out stays."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Name | None = None
    target: Target | None = None
    kinds: Kinds | None = None
    all_kinds: Literal[True] | None = None
    """Alerts of every kind again."""
    active: bool | None = None


@router.get("/v1/channels")
async def listing(request: Request, caller: Operator) -> answers.Channels:
    """All of the organisation, each with how its last attempt ended."""
    async with cloud_of(request).database.reading() as connection:
        rows = await channels.of_organisation(connection, caller.organisation_id)
    return {"channels": [alerts_json.channel(row) for row in rows]}


@router.post("/v1/channels", status_code=201, responses=refuses(409))
async def create(request: Request, caller: Admin, new: NewChannel) -> answers.NewChannelRow:
    """A new channel. The secret with which a webhook is signed is shown in this answer and never again."""
    cloud = cloud_of(request)
    target = await _checked(cloud, new.type, new.target)
    secret = webhook.new_secret() if new.type == "webhook" else None
    values = {
        "organisation_id": caller.organisation_id,
        "type": new.type,
        "name": new.name,
        "target": target,
        "secret": new.target if new.type == "apprise" else secret,
        "kinds": new.kinds,
        "active": True,
        "created_at": cloud.now(),
    }
    async with cloud.database.writing() as connection:
        if len(await channels.of_organisation(connection, caller.organisation_id)) >= _MAX_CHANNELS:
            raise Refusal(409, f"There are {_MAX_CHANNELS} channels already: remove one first", "too_many")
        made = await channels.create(connection, values)
        if made is not None:
            audit.changed(request, what=f"channel {made.channel_id}", after=_told(made))
    if made is None:
        raise _taken(new.name)
    return {**alerts_json.channel(made), "secret": secret}


@router.get("/v1/channels/{channel_id}")
async def one(request: Request, caller: Operator, channel_id: Number) -> answers.ChannelRow:
    """One channel."""
    return alerts_json.channel(await _find(request, caller, channel_id))


@router.patch("/v1/channels/{channel_id}", responses=refuses(409))
async def change(request: Request, caller: Admin, channel_id: Number, wanted: ChannelChange) -> answers.ChannelRow:
    """Another name, target or choice of kinds, or off and on again."""
    cloud, found = cloud_of(request), await _find(request, caller, channel_id)
    values = wanted.model_dump(exclude_none=True, exclude={"all_kinds"})
    if wanted.target is not None:
        values["target"] = await _checked(cloud, found.type, wanted.target)
        if found.type == "apprise":
            values["secret"] = wanted.target
    if wanted.all_kinds:
        values["kinds"] = None
    if wanted.target is not None or wanted.active is not None:
        values["failures"] = 0  # it has not failed so yet
    async with cloud.database.writing() as connection:
        others = await channels.of_organisation(connection, caller.organisation_id)
        if any(other.name == wanted.name and other.channel_id != channel_id for other in others):
            raise _taken(str(wanted.name))
        if values:
            await channels.change(connection, caller.organisation_id, channel_id, values)
            now = await channels.find(connection, caller.organisation_id, channel_id)
            audit.changed(request, before=_told(found), after=now and _told(now))
    return await one(request, caller, channel_id)


@router.delete("/v1/channels/{channel_id}", status_code=204)
async def remove(request: Request, caller: Admin, channel_id: Number) -> None:
    """It is gone, with its log and with what was on its way to it."""
    found = await _find(request, caller, channel_id)
    async with cloud_of(request).database.writing() as connection:
        await channels.remove(connection, caller.organisation_id, found.channel_id)
        audit.changed(request, before=_told(found))


@router.post("/v1/channels/{channel_id}/secret", responses=refuses(409))
async def new_secret(request: Request, caller: Admin, channel_id: Number) -> answers.ChannelSecret:
    """A new secret in place of the old one, which signs nothing from now on."""
    found = await _find(request, caller, channel_id)
    if found.type != "webhook":
        raise Refusal(409, f"{found.name} is no webhook: it has no secret", "no_secret")
    secret = webhook.new_secret()
    async with cloud_of(request).database.writing() as connection:
        await channels.change(connection, caller.organisation_id, channel_id, {"secret": secret})
    return {"channel_id": channel_id, "secret": secret}


@router.post("/v1/channels/{channel_id}/test", status_code=202, responses=refuses(409))
async def test(request: Request, caller: Operator, channel_id: Number) -> answers.DeliveryRow:
    """Sends a message that says it is a test; the log says what became of it."""
    cloud, found = cloud_of(request), await _find(request, caller, channel_id)
    if not found.active:
        raise Refusal(409, f"{found.name} is off: set it active first", "not_active")
    said = words.of_test(found.name, cloud.settings.public_url)
    async with cloud.database.writing() as connection:
        await deliveries.add(
            connection,
            caller.organisation_id,
            [found],
            cloud.now(),
            type=said.type,
            title=said.title,
            text=said.text,
            data=said.data,
        )
        [(row, notice)] = await deliveries.log_of(connection, channel_id, None, 1)
    return alerts_json.delivery(row, notice)


@router.get("/v1/channels/{channel_id}/deliveries")
async def log(
    request: Request,
    caller: Operator,
    channel_id: Number,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> answers.DeliveryPage:
    """What went to it in the last 90 days and how each attempt ended, newest first; `next_before` continues."""
    found = await _find(request, caller, channel_id)
    async with cloud_of(request).database.reading() as connection:
        rows = await deliveries.log_of(connection, found.channel_id, before, limit)
    return {
        "deliveries": [alerts_json.delivery(row, notice) for row, notice in rows],
        "next_before": rows[-1][0].delivery_id if len(rows) == limit else None,
    }


@router.post("/v1/channels/{channel_id}/deliveries/{delivery_id}/replay", status_code=202)
async def replay(request: Request, caller: Operator, channel_id: Number, delivery_id: Number) -> answers.Replayed:
    """Sends it once more, under the same id, as if for the first time."""
    cloud, found = cloud_of(request), await _find(request, caller, channel_id)
    async with cloud.database.writing() as connection:
        if not await deliveries.replay(connection, found.channel_id, delivery_id, cloud.now()):
            raise Refusal(404, f"{found.name} has no delivery {delivery_id}", "unknown_delivery")
    return {"delivery_id": delivery_id, "status": "waiting"}


async def _find(request: Request, caller: Caller, channel_id: int) -> Channel:
    async with cloud_of(request).database.reading() as connection:
        found = await channels.find(connection, caller.organisation_id, channel_id)
    if found is None:
        raise Refusal(404, f"There is no channel {channel_id}", "unknown_channel")
    return found


def _told(row: Channel) -> dict[str, Any]:
    """For the audit log. The target of a webhook is left out: its address often holds a secret."""
    return {"name": row.name, "type": row.type, "kinds": row.kinds, "active": row.active}


async def _checked(cloud: Cloud, type_: str, target: str) -> str:
    try:
        if type_ == "apprise":
            return await _apprise(cloud, target)
        if type_ == "webhook":
            webhook.parsed(target)
            return target
        found = ", ".join(email.addresses(target))
    except ValueError as error:
        raise Refusal(422, f"target: {error}", "invalid") from None
    if cloud.settings.smtp_url is None:
        raise Refusal(409, "This cloud sends no mail: set SMTP_URL and MAIL_FROM first", "no_smtp")
    return found


async def _apprise(cloud: Cloud, url: str) -> str:
    text = apprise.shown(url)
    if not apprise.available():
        raise Refusal(409, "This cloud has no Apprise: install visant-cloud[apprise] first", "no_apprise")
    try:
        readable = await cloud.apprise.readable(url)
    except TimeoutError:
        raise Refusal(503, "Apprise did not answer in time: try again", "busy", retry_after=5) from None
    if not readable:
        raise ValueError(f"Apprise cannot read it: see how it writes {text}")
    return text


def _taken(name: str) -> Refusal:
    return Refusal(409, f"There is a channel {name!r} already: choose another name", "exists")
