"""Who is calling, and may they: devices by token, operators by session cookie, programs by API token."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from fastapi import Depends, Request

from visant_cloud.access import credentials
from visant_cloud.access import same_origin as same_origin_rule
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.problems import Refusal, another_cloud, unknown_device
from visant_cloud.store import access, devices, organisations
from visant_cloud.store.devices import Device
from visant_cloud.store.keys import DEFAULT_ORGANISATION, device_key
from visant_contract.capture import MEANT_FOR
from visant_contract.ids import valid_device_id

COOKIE = "visant_session"
CSRF_HEADER = "X-CSRF-Token"
ORGANISATION_HEADER = "Visant-Organisation"
"""With which an operator of several organisations says which one is meant; default: the own one."""
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Caller:
    """An operator or a program that may do what operators may."""

    name: str
    way: Literal["session", "token", "open"]
    csrf: str = ""
    organisation_id: str = DEFAULT_ORGANISATION
    """Whose devices it sees and changes in this request; there are no others for it."""

    def key(self, device_id: str) -> str:
        """The key of the device that this caller means; 404 for what can be no device's id."""
        try:
            return device_key(self.organisation_id, device_id)
        except ValueError:
            raise unknown_device(device_id) from None


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
        if holder.token_seen_at is None:
            now = cloud.now()
            async with cloud.database.writing() as connection:
                if not await devices.mark_token_seen(connection, holder.device_key, holder.token_hash, now):
                    raise _bad_token()
            found = replace(holder, token_seen_at=now)
            cloud.hub.disconnect(holder.device_key, by_id_alone=True)  # who has no token is not this device any more
    elif cloud.settings.auth != "open" and not found.by_id_alone:
        raise _no_token()
    if not found.active:
        raise Refusal(403, f"Device {device_id} is not active", "not_active")
    return found


async def _find(cloud: Cloud, organisation_id: str, device_id: str) -> Device | None:
    if not valid_device_id(device_id):
        return None
    return await cloud.lookups.by_key(device_key(organisation_id, device_id))


def _no_token() -> Refusal:
    return Refusal(401, "A device token is needed: set DEVICE_TOKEN", "no_token")


def _bad_token() -> Refusal:
    return Refusal(401, "The device token is not valid here: enrol the device again", "bad_token")


async def _registered(cloud: Cloud, device_id: str) -> Device | None:
    async with cloud.database.writing() as connection:
        await devices.create(connection, device_id, cloud.now())
        return await devices.find(connection, device_id)


async def find_caller(request: Request) -> Caller | None:
    """The operator or program behind a request, or None; 403 where a page of another site sent it, and where it names
    an organisation that it is not of."""
    cloud = cloud_of(request)
    if cloud.settings.auth == "open":
        _same_origin(request)
        return Caller("open", "open", organisation_id=_chosen(request, [DEFAULT_ORGANISATION]))
    token = bearer(request)
    if token is not None:
        program = await access.api_token(cloud.database, credentials.digest(token))
        if program is None:
            return None
        return Caller(program.name, "token", organisation_id=_chosen(request, [program.organisation_id]))
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        return None
    async with cloud.database.reading() as connection:
        session = await access.session(connection, credentials.digest(cookie), cloud.now())
        if session is None:
            return None
        mine = await organisations.of_operator(connection, session.operator_id)
    _same_origin(request)
    return Caller(session.operator, "session", session.csrf, _chosen(request, mine))


def _chosen(request: Request, mine: list[str]) -> str:
    wanted = request.headers.get(ORGANISATION_HEADER)
    if wanted is None:
        return mine[0]
    if wanted not in mine:
        raise Refusal(
            403,
            f"{ORGANISATION_HEADER}: {wanted[:100]!r} is none of yours; name one of {', '.join(mine)}",
            "organisation",
        )
    return wanted


async def operator(request: Request) -> Caller:
    """Dependency of every endpoint that is not a device's: 401 for strangers, 403 without the session's CSRF token."""
    caller = await find_caller(request)
    if caller is None:
        raise Refusal(401, "Sign in, or send an API token (visant-cloud create-token)", "no_credentials")
    if caller.way == "session" and request.method not in _SAFE and not await _carries(request, caller.csrf):
        raise Refusal(403, "The page is out of date: reload it", "csrf")
    return caller


Operator = Annotated[Caller, Depends(operator)]
"""What an endpoint of operators and programs takes as a parameter."""


async def _carries(request: Request, csrf: str) -> bool:
    if request.headers.get(CSRF_HEADER) == csrf:
        return True
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return (await request.form()).get("csrf") == csrf
    return False


def _same_origin(request: Request) -> None:
    """Browsers name the site whose page sends a change; another site's has no business here."""
    if request.method in _SAFE:
        return
    ours = same_origin_rule.from_here(
        request.headers,
        public=cloud_of(request).settings.public_url,
        forwarded_host=request.scope.get("forwarded_host"),
        behind_proxy=request.scope.get("behind_proxy", False),
    )
    if not ours:
        sent_by, host = (request.headers.get(name, "?")[:100] for name in ("origin", "host"))
        raise Refusal(
            403,
            f"This request came from a page of another site: of {sent_by!r}, and this is {host!r}. Where both are this "
            "cloud, behind a reverse proxy: let the proxy hand on the header Host, or set PUBLIC_URL",
            "cross_site",
        )


def same_origin(request: Request) -> None:
    """The same check for requests that no session guards yet (the sign-in)."""
    _same_origin(request)
