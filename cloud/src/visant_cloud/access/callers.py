"""Which operator or program is calling, and may they: by session cookie or API token, for one organisation."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request

from visant_cloud.access import credentials
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
from visant_cloud.store import access, organisations
from visant_cloud.store.keys import DEFAULT_ORGANISATION, device_key

COOKIE = "visant_session"
CSRF_HEADER = "X-CSRF-Token"
ORGANISATION_HEADER = "Visant-Organisation"
"""With which an operator of several organisations says which one is meant; default: the own one."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_CALLER = "visant.caller"
"""Key of the scope: what was found out about this request."""


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


async def find_caller(request: Request) -> Caller | None:
    """The operator or program behind a request, or None; 403 where a page of another site sent it, and where it names
    an organisation that it is not of."""
    known: Caller | None = request.scope.get(_CALLER)
    if known is not None:
        return known
    mark = cloud_of(request).hub.mark()
    found = await _caller(request)
    if found is not None:
        request.scope[_CALLER] = found
        size = LARGE_BODY_BYTES if request.scope["path"] in LARGE_BODIES else MAX_BODY_BYTES
        request.scope[ALLOWANCE] = Allowance(size, BODY_SECONDS, mark=mark, again=_still_caller)
    return found


async def _still_caller(request: Request) -> None:
    if await _caller(request) is None:
        raise _no_credentials()


def _no_credentials() -> Refusal:
    return Refusal(401, "Sign in, or send an API token (visant-cloud create-token)", "no_credentials")


async def _caller(request: Request) -> Caller | None:
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
        raise _no_credentials()
    if caller.way == "session" and request.method not in _SAFE and not await _carries(request, caller.csrf):
        raise Refusal(403, "The page is out of date: reload it", "csrf")
    return caller


Operator = Annotated[Caller, Depends(operator)]
"""What an endpoint of operators and programs takes as a parameter."""
Viewer = Operator
"""The same where the endpoint only reads."""
Admin = Operator
"""The same where the endpoint changes people, tokens or what the whole organisation lives by."""


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
