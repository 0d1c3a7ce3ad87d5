"""Which device is calling, and may it; and what a stranger may send. People and programs: callers.py."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Request

from visant_cloud.access import credentials
from visant_cloud.access.rate_limits import RateLimits, by_address
from visant_cloud.access.shares import ALLOWANCE, BODY_SECONDS, MAX_BODY_BYTES, Allowance
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.problems import Refusal, another_cloud, device_gone, unknown_device
from visant_cloud.store import devices
from visant_cloud.store.devices import Device
from visant_cloud.store.keys import DEFAULT_ORGANISATION, device_key
from visant_contract.capture import CAPTURE_HEADER, MEANT_FOR
from visant_contract.ids import valid_device_id

STRANGER_BYTES = 16 << 10
"""A sign-in or an enrolment with the longest words that they take."""
STRANGER_SECONDS = 10.0
_UNNAMED_SECONDS = 60.0

# keys of the scope: what was found out about this request
_DEVICE = "visant.device"
_HOLDER = "visant.holder"
_NAMED = "visant.named"


def bearer(request: Request) -> str | None:
    """The token of `Authorization: Bearer ...`, or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


async def token_holder(request: Request) -> Device | None:
    """The device whose token the request carries; None without a token, and where AUTH=open asks for none.

    401 for a token that is not valid here. This one read authenticates the request.
    """
    cloud = cloud_of(request)
    token = bearer(request)
    if token is None or cloud.settings.auth == "open":
        return None
    found = await cloud.lookups.by_token(credentials.digest(token))
    if found is None or found.token_revoked:
        raise _bad_token()
    return found


async def device(request: Request, device_id: str, *, register: bool = False) -> Device:
    """The device that calls, checked: 401 without or with a wrong token, 403 for another's or a barred device.

    `register`: where AUTH=open, an unknown id becomes a device. Writes only at a device's first time.
    """
    cloud = cloud_of(request)
    holder = await token_holder(request)
    if holder is not None:
        return await _welcome(cloud, holder, holder, device_id)
    found = await _find(cloud, DEFAULT_ORGANISATION, device_id)
    if cloud.settings.auth == "open":
        if found is None and register and valid_device_id(device_id):
            found = await _registered(cloud, device_id)
        if found is None:
            raise unknown_device(device_id)
    elif found is None:
        raise _no_token()
    return await _welcome(cloud, holder, found, device_id)


def address_of(request: Request) -> str:
    """Whom limits for strangers count a request on."""
    return by_address(request.client.host if request.client else None)


async def telemetry_device(request: Request) -> Device:
    """Guard: the device of the path that tells how it is; 429 where it does so too often."""
    return await _of_path(request, cloud_of(request).telemetry_limits)


async def outcome_device(request: Request) -> Device:
    """Guard: the device of the path that reports an outcome; 412 where it is meant for another cloud, 429 as above."""
    await meant_for_us(request)
    found = await _of_path(request, cloud_of(request).outcome_limits)
    await meant_for_us(request, found)
    return found


async def _of_path(request: Request, limits: RateLimits) -> Device:
    found: Device | None = request.scope.get(_DEVICE)
    if found is not None:
        return found
    mark, device_id = cloud_of(request).hub.mark(), request.path_params["device_id"]
    found = await device(request, device_id)
    wait = limits.acquire(found.device_key)
    if wait is not None:
        raise Refusal(429, f"This device says more than it may: come again in {wait} s", "rate", retry_after=wait)

    async def again(request: Request) -> None:
        request.scope[_DEVICE] = await device(request, device_id)

    request.scope[_DEVICE] = found
    _allow_device(request, found, mark, again, size=MAX_BODY_BYTES, seconds=BODY_SECONDS)
    return found


async def capture_holder(request: Request) -> Device | None:
    """Guard of captures: `possible_device`, and 412 first where the capture is meant for another cloud."""
    await meant_for_us(request)
    return await possible_device(request)


async def possible_device(request: Request) -> Device | None:
    """`token_holder` for a request whose body says which device calls: known before the body, which is large, is read.

    Without a token the header of a raw capture names the device, and else the first words of the body do: it is asked
    for by then (body_limits.py). 401 at once where no device may come without a token.
    """
    if _HOLDER in request.scope:
        holder: Device | None = request.scope[_HOLDER]
        return holder
    cloud = cloud_of(request)
    mark = cloud.hub.mark()
    holder = await token_holder(request)
    request.scope[_HOLDER] = holder
    if holder is not None:
        _allow_device(request, holder, mark, _still_holder)
        return holder
    is_open = cloud.settings.auth == "open"
    if not is_open and not await cloud.lookups.any_by_id_alone(mark):
        raise _no_token()
    device_id = _named_by_header(request)
    if device_id is not None:
        await named_device(request, None, device_id)
    elif is_open:
        request.scope[ALLOWANCE] = Allowance(unnamed=Allowance())
    else:
        shares, address = cloud.shares, address_of(request)
        unnamed = Allowance(seconds=_UNNAMED_SECONDS, share=shares.unnamed, key=address)
        request.scope[ALLOWANCE] = Allowance(
            seconds=STRANGER_SECONDS, share=shares.beginning, key=address, unnamed=unnamed
        )
    return None


async def _still_holder(request: Request) -> None:
    found = await token_holder(request)
    if found is not None and not found.active:
        raise _not_active(found)


def _named_by_header(request: Request) -> str | None:
    """Of a raw capture; what cannot be read is left to who reads all of it."""
    try:
        told: Any = json.loads(request.headers.get(CAPTURE_HEADER, "null"))
    except (ValueError, RecursionError):
        return None
    named = told.get("device_id") if isinstance(told, dict) else None
    return named if isinstance(named, str) else None


async def stranger(request: Request) -> None:
    """Guard of the doors at which nobody is known yet: a small body, at once."""
    request.scope[ALLOWANCE] = Allowance(
        size=STRANGER_BYTES,
        seconds=STRANGER_SECONDS,
        share=cloud_of(request).shares.strangers,
        key=address_of(request),
    )


def _allow_device(
    request: Request,
    found: Device,
    mark: int,
    again: Callable[[Request], Awaitable[object]],
    *,
    size: int | None = None,
    seconds: float | None = None,
) -> None:
    request.scope[ALLOWANCE] = Allowance(size, seconds, cloud_of(request).shares.devices, found.device_key, mark, again)


async def named_device(request: Request, holder: Device | None, device_id: str) -> Device:
    """The device that the body names, checked against what `possible_device` found: as `device`, and 404 comes first.

    Who holds the token that came with the request is not read again here.
    """
    if holder is not None:
        return await _named(request, holder, device_id)
    asked, before = request.scope.get(_NAMED, (None, None))
    if before is not None and asked == device_id:
        found: Device = before
        return found
    mark = cloud_of(request).hub.mark()
    found = await _named(request, None, device_id)
    request.scope[_NAMED] = device_id, found
    _allow_device(request, found, mark, partial(_named, holder=None, device_id=device_id))
    return found


async def _named(request: Request, holder: Device | None, device_id: str) -> Device:
    cloud = cloud_of(request)
    if holder is not None and holder.device_id == device_id:
        found: Device | None = holder
    else:
        found = await _find(cloud, DEFAULT_ORGANISATION if holder is None else holder.organisation_id, device_id)
    if found is None:
        raise unknown_device(device_id)
    return await _welcome(cloud, holder, found, device_id)


async def meant_for_us(request: Request, caller: Device | None = None) -> None:
    """412 where an outcome is held for another cloud, whoever sends it: its token is as good as none here.

    With the `caller`, who is known by then: for another organisation of this cloud as well.
    """
    cloud, meant = cloud_of(request), request.headers.get(MEANT_FOR)
    if meant is None:
        return
    if caller is None:
        if not await cloud.is_called(meant):
            raise another_cloud()
    elif meant != await cloud.id_for(caller.organisation_id):
        raise another_cloud()


async def _welcome(cloud: Cloud, holder: Device | None, found: Device, device_id: str) -> Device:
    """`found` by the token of `holder`, or by the id alone: 401 or 403 where it may not act as `device_id`."""
    if holder is not None:
        if holder.device_id != device_id:
            raise Refusal(403, f"This token belongs to another device than {device_id[:100]!r}", "other_device")
        if holder.token_seen_at is None and holder.deleted_at is None:
            now = cloud.now()
            async with cloud.database.writing() as connection:
                if not await devices.mark_token_seen(connection, holder, now):
                    raise _bad_token()
            found = replace(holder, token_seen_at=now)
            if holder.old_client:
                # who has no token is not this device any more
                cloud.hub.disconnect(holder.device_key, by_id_alone=True)
    elif cloud.settings.auth != "open" and not found.by_id_alone:
        raise _no_token()
    if not found.active:
        raise _not_active(found)
    return found


async def _find(cloud: Cloud, organisation_id: str, device_id: str) -> Device | None:
    if not valid_device_id(device_id):
        return None
    return await cloud.lookups.by_key(device_key(organisation_id, device_id))


def _not_active(found: Device) -> Refusal:
    if found.deleted_at is not None:
        return device_gone()
    return Refusal(403, f"Device {found.device_id} is not active", "not_active")


def _no_token() -> Refusal:
    return Refusal(401, "A device token is needed: set DEVICE_TOKEN", "no_token")


def _bad_token() -> Refusal:
    return Refusal(401, "The device token is not valid here: enrol the device again", "bad_token")


async def _registered(cloud: Cloud, device_id: str) -> Device | None:
    async with cloud.database.writing() as connection:
        await devices.create(connection, device_id, cloud.now())
        return await devices.find(connection, device_id)


TelemetryDevice = Annotated[Device, Depends(telemetry_device)]
OutcomeDevice = Annotated[Device, Depends(outcome_device)]
