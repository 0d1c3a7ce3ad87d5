"""Bodies: none is read before it is known who sends it, and of each no more than its share; JSON that can be kept."""

import asyncio
import re
import time

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from visant_cloud import problems
from visant_cloud.access import authenticate
from visant_cloud.access.shares import ALLOWANCE, Allowance
from visant_cloud.context import cloud_of
from visant_cloud.database.engine import DATABASE_ERRORS
from visant_cloud.database.json_values import MAX_DEPTH, clean
from visant_cloud.problems import Refusal

_AGAIN_AFTER = 1.0
"""Seconds: whose body took longer is asked once more who it is."""
_HEAD = 4096
"""Bytes of a capture without a token in which it must have named its device: an old client's JSON begins with it."""
_VALUE = rb'(?:"[^"\\]*"|[-+.0-9A-Za-z]+)'
_NAMED = re.compile(
    rb'\s*\{(?:\s*"[^"\\]*"\s*:\s*' + _VALUE + rb'\s*,)*?\s*"device_id"\s*:\s*"([A-Za-z0-9._-]{1,64})"\s*[,}]'
)
"""Nothing but words and numbers before it, so that it is no other object's."""


class BodyLimit:
    """ASGI middleware: a body is handed out only under the allowance that the guard of the route gave.

    Refused (as it is read, so that it becomes the answer like any other refusal): 401 where no guard spoke, 413 where
    it is too large, 408 too slow, 429 and 503 beyond a share, and what the guard says when it is asked again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive)
        try:
            await self._app(scope, body.receive, send)
        finally:
            body.let_go()


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0 "))
        for name, value in scope["headers"]
    )


class _Body:
    """The body of one request."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._allowance: Allowance | None = None
        self._entered = False
        self._began = self._asked = 0.0
        self._size = 0
        self._complete = False
        self._kept: Message | None = None

    async def receive(self) -> Message:
        """ASGI."""
        if self._allowance is None:
            await self._begin()
        if self._kept is not None:
            message, self._kept = self._kept, None
            return message
        return await (self._receive() if self._complete else self._next())

    def let_go(self) -> None:
        """The request is over, and with it its share."""
        if self._entered and self._allowance is not None and self._allowance.share is not None:
            self._allowance.share.leave(self._allowance.key, self._size)
        self._entered = False

    async def _begin(self) -> None:
        allowance = self._scope.get(ALLOWANCE)
        if allowance is None:
            raise Refusal(401, "Nobody is known by this request, so its body is not read", "no_credentials")
        self._began = self._asked = time.monotonic()
        self._count_on(allowance)
        declared = Headers(scope=self._scope).get("content-length", "")
        if allowance.size is not None and declared.isdigit() and int(declared) > allowance.size:
            raise _too_large(allowance.size)
        if allowance.unnamed is not None:
            await self._name(allowance.unnamed)

    async def _name(self, unnamed: Allowance) -> None:
        """Reads until the body has said which device calls, then asks whether that one may."""
        head, named = b"", None
        while not named and len(head) < _HEAD and not self._complete:
            message = await self._next()
            if message["type"] != "http.request":
                self._kept = message
                return
            head += message.get("body", b"")
            named = _NAMED.match(head[:_HEAD])
        self._kept = {"type": "http.request", "body": head, "more_body": not self._complete}
        if named:
            self.let_go()
            await authenticate.named_device(Request(self._scope), None, named[1].decode())
            self._count_on(self._scope[ALLOWANCE])
        elif not self._complete:
            self._count_on(unnamed)

    def _count_on(self, allowance: Allowance) -> None:
        self.let_go()
        self._allowance = allowance
        if allowance.share is not None:
            allowance.share.enter(allowance.key)
            self._entered = True
            allowance.share.grow(allowance.key, self._size)

    async def _next(self) -> Message:
        allowance = self._allowance
        assert allowance is not None
        try:
            async with asyncio.timeout(_left(allowance, self._began)):
                message = await self._receive()
        except TimeoutError:
            raise _too_slow() from None
        if message["type"] != "http.request":
            return message
        size = len(message.get("body", b""))
        self._size += size
        self._complete = not message.get("more_body", False)
        if self._entered and allowance.share is not None:
            allowance.share.grow(allowance.key, size)
        if allowance.size is not None and self._size > allowance.size:
            raise _too_large(allowance.size)
        await self._still(allowance)
        if self._complete and allowance.share is not None and allowance.share.until_read:
            self.let_go()
        return message

    async def _still(self, allowance: Allowance) -> None:
        """Asks again where somebody was barred since, and at the end of what took its time."""
        if allowance.again is None:
            return
        now, request = time.monotonic(), Request(self._scope)
        hub = cloud_of(request).hub
        took_long = self._complete and now - self._asked > _AGAIN_AFTER
        if not took_long and not hub.changed_since(allowance.mark, allowance.key):
            return
        allowance.mark, self._asked = hub.mark(), now
        try:
            await allowance.again(request)
        except DATABASE_ERRORS as error:  # FastAPI would make a fault of the sender's of it
            raise problems.database_away(error, self._scope["path"]) or error from None


def _left(allowance: Allowance, began: float) -> float | None:
    return None if allowance.seconds is None else max(0.0, began + allowance.seconds - time.monotonic())


def _too_large(size: int) -> Refusal:
    return Refusal(413, f"The request has more than {size} bytes", "too_large")


def _too_slow() -> Refusal:
    refusal = Refusal(408, "The request's body did not come in time", "too_slow")
    refusal.headers = {**(refusal.headers or {}), "Connection": "close"}
    return refusal


async def clean_json(request: Request) -> None:
    """Dependency of routes that take JSON: 422 for what can be read but neither stored nor sent on."""
    try:
        value = await request.json()
    except (ValueError, RecursionError):
        return  # no body, or none that the route takes
    if clean(value) != value:
        raise Refusal(422, f"The body holds half a surrogate pair, or is nested deeper than {MAX_DEPTH}", "invalid")
