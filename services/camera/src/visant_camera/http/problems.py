"""Answers that are not a picture: RFC 9457 problem details."""

import asyncio
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from visant_contract.errors import PROBLEM_JSON, Problem

_BODY_WITHIN = 5.0  # seconds
_MAX_BODY = 65_536


def problem(status: int, detail: str, *, reason: str | None = None, headers: dict[str, str] | None = None) -> Response:
    """A problem document; `detail` is one line for a person, `reason` a word for programs."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, reason=reason)
    return Response(
        body.model_dump_json(exclude_none=True),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        media_type=PROBLEM_JSON,
    )


async def small_body(request: Request) -> bytes:
    """The request's body. Raises HTTPException: 413 for more than any of our requests needs, 408 for one that lags."""
    body = b""
    try:
        async with asyncio.timeout(_BODY_WITHIN):
            async for part in request.stream():
                body += part
                if len(body) > _MAX_BODY:
                    raise HTTPException(413, f"at most {_MAX_BODY} bytes are taken")
    except TimeoutError:
        raise HTTPException(408, f"the body did not come within {_BODY_WITHIN:.0f} s") from None
    return body


def http_problem(request: Request, error: Exception) -> Response:
    """What the framework itself refuses (no such path, wrong method), in the same form."""
    if not isinstance(error, HTTPException):
        raise error
    return problem(
        error.status_code, f"{request.method} {request.url.path}: {error.detail}", headers=dict(error.headers or {})
    )
