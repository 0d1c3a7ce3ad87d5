"""Routes that ask who sends a request before they read its body: FastAPI by itself reads first."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from visant_cloud.access import authenticate, callers

GUARDS = (
    callers.operator,
    authenticate.telemetry_device,
    authenticate.outcome_device,
    authenticate.capture_holder,
    authenticate.stranger,
)


class GuardedRoute(APIRoute):
    """A route that depends on one of GUARDS has it decide first.

    A route of which this is forgotten gets no body at all (body_limits.py).
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's, with the guards before it. They remember what they found: asked again they read nothing."""
        handle = super().get_route_handler()
        guards = [one.call for one in self.dependant.dependencies if one.call in GUARDS]

        async def guarded(request: Request) -> Response:
            for guard in guards:
                await guard(request)
            return await handle(request)

        return guarded
