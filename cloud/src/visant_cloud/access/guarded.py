"""Routes that ask who sends a request before they read its body (FastAPI by itself reads first), and keep the record of
what people and programs change.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from visant_cloud.access import audit, authenticate, callers

GUARDS = (
    *callers.GUARDS,
    authenticate.telemetry_device,
    authenticate.outcome_device,
    authenticate.capture_holder,
    authenticate.stranger,
)
_SAFE = {"GET", "HEAD", "OPTIONS"}


class GuardedRoute(APIRoute):
    """A route that depends on one of GUARDS has it decide first.

    A route of which this is forgotten gets no body at all (body_limits.py). What callers change through it, and look at
    where it depends on `audit.looked_at`, is in the audit log; refused attempts are, too.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's, with the guards before it. They remember what they found: asked again they read nothing."""
        handle = super().get_route_handler()
        needs = [one.call for one in self.dependant.dependencies]
        guards = [one for one in needs if one in GUARDS]
        recorded = any(one in callers.GUARDS for one in guards) and (
            not _SAFE.issuperset(self.methods or ()) or audit.looked_at in needs
        )

        async def guarded(request: Request) -> Response:
            for guard in guards:
                await guard(request)
            return await handle(request)

        async def on_record(request: Request) -> Response:
            try:
                for guard in guards:
                    await guard(request)
            except Exception as error:
                if callers.CALLER in request.scope:  # known, and refused
                    with self._recording(request) as entry:
                        entry.end(audit.status_of(error))
                raise
            with self._recording(request) as entry:
                try:
                    response = await handle(request)
                except Exception as error:
                    entry.end(audit.status_of(error))
                    raise
                entry.end(response.status_code)
                return response

        return on_record if recorded else guarded

    def _recording(self, request: Request) -> Any:
        caller = request.scope[callers.CALLER]
        action = f"{request.method} {self.path}"
        return audit.recording(request, caller, action, self.status_code or 200)
