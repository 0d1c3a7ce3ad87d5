"""Which person or program is calling, and may they: by session cookie or API token, for one organisation, in a role."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from fastapi import Depends, Request

from visant_cloud.access import credentials, roles
from visant_cloud.access import same_origin as same_origin_rule
from visant_cloud.access.authenticate import bearer
from visant_cloud.access.shares import (
    ALLOWANCE,
    BODY_SECONDS,
    LARGE_BODIES,
    LARGE_BODY_BYTES,
    MAX_BODY_BYTES,
    Allowance,
)
from visant_cloud.context import cloud_of
from visant_cloud.problems import Refusal, unknown_device
from visant_cloud.store import access, people
from visant_cloud.store import scope as scopes
from visant_cloud.store.keys import DEFAULT_ORGANISATION, device_key
from visant_cloud.store.people import Membership
from visant_cloud.store.scope import Scope
from visant_contract.ids import valid_device_id

COOKIE = "visant_session"
CSRF_HEADER = "X-CSRF-Token"
ORGANISATION_HEADER = "Visant-Organisation"
"""With which an operator of several organisations says which one is meant; default: the own one."""
_SAFE = ("GET", "HEAD", "OPTIONS")
CALLER = "visant.caller"
"""Key of the scope: what was found out about this request."""


@dataclass(frozen=True)
class Caller:
    """A person or a program, and what it has to do with."""

    name: str
    way: Literal["session", "token", "open"]
    csrf: str = ""
    scope: Scope = field(default_factory=Scope)
    """What it sees and changes in this request; there is nothing else for it."""
    role: str = "admin"
    operator_id: str | None = None
    """Of a session."""
    secret_hash: str = ""
    """Of the session or the token."""
    reach: frozenset[str] = field(default=frozenset(), repr=False)
    """Of somebody who is limited to groups: the devices that the request names, by their keys, and that are in them."""

    @property
    def organisation_id(self) -> str:
        """Whose everything it sees and changes. 403 for who is limited to groups of devices: what asks for this has no
        limits to heed. What has takes `scope`, or `key`.
        """
        if self.scope.group_ids is not None:
            raise Refusal(
                403, f"{self.name} is limited to groups of devices, and this is of the whole organisation", "groups"
            )
        return self.scope.organisation_id

    def key(self, device_id: str) -> str:
        """The key of the device that this caller means; 404 for what can be no device's id, and for a device that is in
        none of the caller's groups.
        """
        try:
            key = device_key(self.scope.organisation_id, device_id)
        except ValueError:
            raise unknown_device(device_id) from None
        if self.scope.group_ids is not None and key not in self.reach:
            raise unknown_device(device_id)
        return key

    def new_key(self, device_id: str) -> str:
        """The key of a device that is to be made."""
        return device_key(self.scope.organisation_id, device_id)


async def find_caller(request: Request) -> Caller | None:
    """The person or program behind a request, or None; 403 where a page of another site sent it, and where it names
    an organisation that it is not of."""
    known: Caller | None = request.scope.get(CALLER)
    if known is not None:
        return known
    mark = cloud_of(request).hub.mark()
    found = await _caller(request)
    if found is not None:
        if found.way != "open":
            cloud_of(request).later.used(found.way, found.secret_hash)
        named = {request.path_params.get("device_id"), *request.query_params.getlist("device_id")}
        found = await reaching(request, found, *(str(one) for one in named if one is not None))
        request.scope[CALLER] = found
        size = LARGE_BODY_BYTES if request.scope["path"] in LARGE_BODIES else MAX_BODY_BYTES
        request.scope[ALLOWANCE] = Allowance(size, BODY_SECONDS, mark=mark, again=still_admitted)
    return found


async def reaching(request: Request, caller: Caller, *device_ids: str) -> Caller:
    """The caller, to whose `key` these devices are known as well: those that a body names."""
    if caller.scope.group_ids is None or not device_ids:
        return caller
    keys = [device_key(caller.scope.organisation_id, one) for one in device_ids if valid_device_id(one)]
    return replace(caller, reach=caller.reach | await scopes.within(cloud_of(request).database, caller.scope, keys))


async def still_admitted(request: Request) -> None:
    """For what takes long: 401 or 403 where the caller may not do any more what it might when the request came."""
    before: Caller = request.scope[CALLER]
    now = await _caller(request)
    if now is None:
        raise _no_credentials()
    if (now.role, now.scope) != (before.role, before.scope):
        raise Refusal(403, f"The role of {now.name} was changed meanwhile: try again", "role")


def _no_credentials() -> Refusal:
    return Refusal(401, "Sign in, or send an API token (visant-cloud create-token)", "no_credentials")


async def _caller(request: Request) -> Caller | None:
    cloud = cloud_of(request)
    if cloud.settings.auth == "open":
        _same_origin(request)
        everything = Membership(DEFAULT_ORGANISATION, "admin", None)
        return _acting(request, Caller("open", "open"), [everything])
    token = bearer(request)
    if token is not None:
        secret_hash = credentials.digest(token)
        program = await access.api_token(cloud.database, secret_hash)
        if program is None:
            return None
        if program.expires_at is not None and program.expires_at <= cloud.now():
            raise Refusal(
                401,
                f"The API token {program.name!r} expired on {program.expires_at:%Y-%m-%d %H:%M} UTC: make another one "
                "(visant-cloud create-token)",
                "expired_token",
            )
        mine = [Membership(program.organisation_id, program.role, program.group_ids)]
        return _acting(request, Caller(program.name, "token", secret_hash=secret_hash), mine)
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        return None
    async with cloud.database.reading() as connection:
        session = await access.session(connection, credentials.digest(cookie), cloud.now())
        if session is None:
            return None
        mine = await people.memberships_of(connection, session.operator_id)
    _same_origin(request)
    person = Caller(
        session.operator,
        "session",
        session.csrf,
        operator_id=session.operator_id,
        secret_hash=credentials.digest(cookie),
    )
    return _acting(request, person, mine)


def _acting(request: Request, caller: Caller, mine: list[Membership]) -> Caller:
    """For the organisation that the request names, or else the first: the own one."""
    wanted = request.headers.get(ORGANISATION_HEADER)
    by_id = {one.organisation_id: one for one in mine}
    if wanted is not None and wanted not in by_id:
        raise Refusal(
            403,
            f"{ORGANISATION_HEADER}: {wanted[:100]!r} is none of yours; name one of {', '.join(by_id)}",
            "organisation",
        )
    if not mine:
        raise Refusal(403, f"{caller.name} is of no organisation any more", "organisation")
    chosen = mine[0] if wanted is None else by_id[wanted]
    group_ids = None if chosen.group_ids is None else tuple(chosen.group_ids)
    return replace(caller, role=chosen.role, scope=Scope(chosen.organisation_id, group_ids))


async def _admitted(request: Request, wanted: frozenset[str]) -> Caller:
    caller = await find_caller(request)
    if caller is None:
        raise _no_credentials()
    if caller.way == "session" and request.method not in _SAFE and not await _carries(request, caller.csrf):
        raise Refusal(403, "The page is out of date: reload it", "csrf")
    if caller.role not in wanted:
        raise Refusal(
            403,
            f"{caller.name} is {caller.role} here, and this is for {roles.in_words(wanted)}: ask an admin",
            "role",
        )
    return caller


# Dependencies, one for each thing that a role may do: 401 for strangers, 403 for other roles and without the session's
# CSRF token. A route that has none of guarded.GUARDS gets no body, and fails test_every_route_says_who_may_call_it.


async def viewer(request: Request) -> Caller:
    """Of what shows something."""
    return await _admitted(request, roles.READ)


async def operator(request: Request) -> Caller:
    """Of what changes how devices work."""
    return await _admitted(request, roles.OPERATE)


async def admin(request: Request) -> Caller:
    """Of what changes people, tokens or what the whole organisation lives by."""
    return await _admitted(request, roles.ADMINISTER)


async def technician(request: Request) -> Caller:
    """Of what lets a device in."""
    return await _admitted(request, roles.INSTALL)


async def anyone(request: Request) -> Caller:
    """Of what concerns whoever is signed in, and of the little that a technician is shown."""
    return await _admitted(request, roles.KNOWN)


Viewer = Annotated[Caller, Depends(viewer)]
Operator = Annotated[Caller, Depends(operator)]
Admin = Annotated[Caller, Depends(admin)]
Technician = Annotated[Caller, Depends(technician)]
Anyone = Annotated[Caller, Depends(anyone)]
GUARDS = (viewer, operator, admin, technician, anyone)


async def _carries(request: Request, csrf: str) -> bool:
    if request.headers.get(CSRF_HEADER) == csrf:
        return True
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        await request.body()  # kept by the request: whoever comes after may read it again
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
