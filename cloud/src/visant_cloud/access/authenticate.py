"""Who is calling, and may they: devices by token, operators by session cookie, programs by API token."""

from dataclasses import dataclass, replace
from typing import Literal

from fastapi import Request

from visant_cloud.access import credentials
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.problems import Refusal, unknown_device
from visant_cloud.store import access, devices
from visant_cloud.store.devices import Device
from visant_contract.ids import valid_device_id

COOKIE = "visant_session"
CSRF_HEADER = "X-CSRF-Token"
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Caller:
    """An operator or a program that may do what operators may."""

    name: str
    way: Literal["session", "token", "open"]
    csrf: str = ""


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
    async with cloud.database.reading() as connection:
        found = await devices.find_by_token(connection, credentials.digest(token))
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
    found = await _find(cloud, device_id)
    if cloud.settings.auth == "open":
        if found is None and register and valid_device_id(device_id):
            found = await _registered(cloud, device_id)
        if found is None:
            raise unknown_device(device_id)
    elif found is None:
        raise _no_token()
    return await _welcome(cloud, holder, found, device_id)


async def possible_device(request: Request) -> Device | None:
    """`token_holder` for a request whose body says which device calls: known before the body, which is large, is read.

    401 as well without a token where no device may come without one.
    """
    cloud = cloud_of(request)
    holder = await token_holder(request)
    if holder is None and cloud.settings.auth != "open":
        async with cloud.database.reading() as connection:
            if not await devices.any_by_id_alone(connection):
                raise _no_token()
    return holder


async def named_device(request: Request, holder: Device | None, device_id: str) -> Device:
    """The device that the body names, checked against what `possible_device` found: as `device`, and 404 comes first.

    Who holds the token that came with the request is not read again: it is let in as it was when the request began.
    """
    cloud = cloud_of(request)
    found = holder if holder is not None and holder.device_id == device_id else await _find(cloud, device_id)
    if found is None:
        raise unknown_device(device_id)
    return await _welcome(cloud, holder, found, device_id)


async def _welcome(cloud: Cloud, holder: Device | None, found: Device, device_id: str) -> Device:
    """`found` by the token of `holder`, or by the id alone: 401 or 403 where it may not act as `device_id`."""
    if holder is not None:
        if holder.device_id != device_id:
            raise Refusal(403, f"This token belongs to another device than {device_id[:100]!r}", "other_device")
        if holder.token_seen_at is None:
            now = cloud.now()
            async with cloud.database.writing() as connection:
                if not await devices.mark_token_seen(connection, device_id, holder.token_hash, now):
                    raise _bad_token()
            found = replace(holder, token_seen_at=now)
            cloud.hub.disconnect(device_id, by_id_alone=True)  # who has no token is not this device any more
    elif cloud.settings.auth != "open" and not found.by_id_alone:
        raise _no_token()
    if not found.active:
        raise Refusal(403, f"Device {device_id} is not active", "not_active")
    return found


async def _find(cloud: Cloud, device_id: str) -> Device | None:
    async with cloud.database.reading() as connection:
        return await devices.find(connection, device_id)


def _no_token() -> Refusal:
    return Refusal(401, "A device token is needed: set DEVICE_TOKEN", "no_token")


def _bad_token() -> Refusal:
    return Refusal(401, "The device token is not valid here: enrol the device again", "bad_token")


async def _registered(cloud: Cloud, device_id: str) -> Device | None:
    async with cloud.database.writing() as connection:
        await devices.create(connection, device_id, cloud.now())
        return await devices.find(connection, device_id)


async def find_caller(request: Request) -> Caller | None:
    """The operator or program behind a request, or None; 403 where a page of another site sent it."""
    cloud = cloud_of(request)
    if cloud.settings.auth == "open":
        _same_origin(request)
        return Caller("open", "open")
    token = bearer(request)
    if token is not None:
        async with cloud.database.reading() as connection:
            name = await access.api_token(connection, credentials.digest(token))
        return None if name is None else Caller(name, "token")
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        return None
    async with cloud.database.reading() as connection:
        session = await access.session(connection, credentials.digest(cookie), cloud.now())
    if session is None:
        return None
    _same_origin(request)
    return Caller(session.operator, "session", session.csrf)


async def operator(request: Request) -> Caller:
    """Dependency of every endpoint that is not a device's: 401 for strangers, 403 without the session's CSRF token."""
    caller = await find_caller(request)
    if caller is None:
        raise Refusal(401, "Sign in, or send an API token (visant-cloud create-token)", "no_credentials")
    if caller.way == "session" and request.method not in _SAFE and not await _carries(request, caller.csrf):
        raise Refusal(403, "The page is out of date: reload it", "csrf")
    return caller


async def _carries(request: Request, csrf: str) -> bool:
    if request.headers.get(CSRF_HEADER) == csrf:
        return True
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return (await request.form()).get("csrf") == csrf
    return False


def _same_origin(request: Request) -> None:
    """Browsers name the site whose page sends a change; another site's has no business here."""
    origin = request.headers.get("origin")
    if request.method in _SAFE or origin is None:
        return
    if origin.partition("://")[2] != request.headers.get("host"):
        raise Refusal(403, "This request came from a page of another site", "cross_site")


def same_origin(request: Request) -> None:
    """The same check for requests that no session guards yet (the sign-in)."""
    _same_origin(request)
