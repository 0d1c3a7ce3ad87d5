"""Bodies that are refused whoever sends them: too large for the memory, or JSON that nothing can carry on."""

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from visant_cloud.problems import Refusal, problem
from visant_cloud.store.database import MAX_DEPTH, clean

MAX_BODY_BYTES = 256 << 10
"""Nothing that devices, programs or pages send is larger, captures apart: captures/intake.py counts those itself."""
_CAPTURES = "/v1/captures"


class BodyLimit:
    """ASGI middleware: 413 for a request that declares, or sends, more than MAX_BODY_BYTES.

    The body is read before any token is checked, so anybody may send one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["path"] == _CAPTURES:
            await self._app(scope, receive, send)
            return
        too_large = Refusal(413, f"The request has more than {MAX_BODY_BYTES} bytes", "too_large")
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
            answer = problem(too_large.status_code, str(too_large.detail), too_large.reason)
            await answer(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise too_large  # where the body is read; it becomes the answer like any other refusal
            return message

        await self._app(scope, counted, send)


async def clean_json(request: Request) -> None:
    """Dependency of routes that take JSON: 422 for what can be read but neither stored nor sent on."""
    try:
        value = await request.json()
    except (ValueError, RecursionError):
        return  # no body, or none that the route takes
    if clean(value) != value:
        raise Refusal(422, f"The body holds half a surrogate pair, or is nested deeper than {MAX_DEPTH}", "invalid")
