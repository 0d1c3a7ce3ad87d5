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


async def admit(request: Request, device_id: str, *, register: bool = False) -> Device:
    """The device that calls, checked: 401 without or with a wrong token, 403 for another's or a barred device.

    `register`: where AUTH=open, an unknown id becomes a device. Writes only at a device's first time.
    """
    cloud = cloud_of(request)
    token = bearer(request)
    is_open = cloud.settings.auth == "open"
    async with cloud.database.reading() as connection:
        if token is not None and not is_open:
            device = await devices.find_by_token(connection, credentials.digest(token))
        else:
            device = await devices.find(connection, device_id)
    if is_open:
        if device is None and register and valid_device_id(device_id):
            device = await _registered(cloud, device_id)
        if device is None:
            raise unknown_device(device_id)
    elif token is not None:
        if device is None or device.token_revoked:
            raise _bad_token()
        if device.device_id != device_id:
            raise Refusal(403, f"This token belongs to another device than {device_id[:100]!r}", "other_device")
        if device.token_seen_at is None:
            device = replace(device, token_seen_at=cloud.now())
            async with cloud.database.writing() as connection:
                await devices.change(connection, device_id, token_seen_at=device.token_seen_at)
            cloud.hub.disconnect(device_id, by_id_alone=True)  # who has no token is not this device any more
    elif device is None or not device.by_id_alone:
        raise _no_token()
    if not device.active:
        raise Refusal(403, f"Device {device_id} is not active", "not_active")
    return device


async def expect_device(request: Request) -> None:
    """401 for whoever can be no device, known before the body says which one calls: it is large, and anybody's."""
    cloud = cloud_of(request)
    if cloud.settings.auth == "open":
        return
    token = bearer(request)
    async with cloud.database.reading() as connection:
        if token is None:
            welcome = await devices.any_by_id_alone(connection)
        else:
            device = await devices.find_by_token(connection, credentials.digest(token))
            welcome = device is not None and not device.token_revoked
    if not welcome:
        raise _no_token() if token is None else _bad_token()


def _no_token() -> Refusal:
    return Refusal(401, "A device token is needed: set DEVICE_TOKEN", "no_token")


def _bad_token() -> Refusal:
    return Refusal(401, "The device token is not valid here: create or enrol the device again", "bad_token")


async def _registered(cloud: Cloud, device_id: str) -> Device | None:
    async with cloud.database.writing() as connection:
        await devices.create(connection, device_id, cloud.now())
        return await devices.find(connection, device_id)


def still_welcome(before: Device, now: Device, auth: str) -> bool:
    """Whether an open stream that began as `before` may go on."""
    if not now.active:
        return False
    if auth == "open":
        return True
    if before.by_id_alone and not now.by_id_alone:
        return False
    return not now.token_revoked and now.token_hash == before.token_hash


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
