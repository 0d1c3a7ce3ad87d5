"""`/controls`: GET shows what can be adjusted, PATCH adjusts it now, PUT says what is wanted of any camera for good."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TypeVar

import structlog
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from visant_camera.control_values import NotAllowed, SavedValues, Values, check, in_order, read_wish
from visant_camera.desired_settings import DesiredSettings, read_desired
from visant_camera.drivers.base import CameraError, Control, ControlRefused, Driver
from visant_camera.grabber import Grabber
from visant_camera.http.problems import problem, small_body
from visant_contract.outcome import Reason

log = structlog.get_logger()
T = TypeVar("T")
_PATIENCE = 5.0  # seconds until the grabber's thread must have come around
_LISTED = TypeAdapter(dict[str, object])


class Controls:
    """The HTTP side. The device is touched only between two frames, by the thread that owns it."""

    def __init__(self, grabber: Grabber, saved: SavedValues, desired: DesiredSettings) -> None:
        self._grabber = grabber
        self._saved = saved
        self._desired = desired

    def routes(self) -> list[Route]:
        """To be served."""
        return [
            Route("/controls", self.show),
            Route("/controls", self.change, methods=["PATCH"]),
            Route("/controls", self.want, methods=["PUT"]),
        ]

    async def show(self, request: Request) -> Response:
        """Every control with range, default and current value."""
        try:
            controls = await self._between_frames(lambda driver: driver.controls())
        except CameraError as error:
            return problem(503, error.detail, reason=error.reason)
        return _listed(controls)

    async def change(self, request: Request) -> Response:
        """422 names what is allowed and changes nothing; 409: the camera refused a value in its range just now."""
        try:
            wish = read_wish(await small_body(request))
            name, controls, done, refusal = await self._between_frames(lambda driver: _set(self._grabber, driver, wish))
        except NotAllowed as error:
            return problem(422, str(error))
        except CameraError as error:
            return problem(503, error.detail, reason=error.reason)
        kept = True
        if done:
            chosen = {key: None if wish[key] is None else value for key, value in done.items()}
            kept = await asyncio.to_thread(self._saved.update, name, chosen)
            await asyncio.to_thread(self._desired.forget, done)
            log.info("controls changed", **done)
        if refusal:
            return problem(409, refusal)
        return _listed(controls, kept=kept)

    async def want(self, request: Request) -> Response:
        """Takes the place of what was wanted before; answers what became of each setting. 422 where it is no object."""
        try:
            wanted = read_desired(await small_body(request))
        except NotAllowed as error:
            return problem(422, str(error))
        await asyncio.to_thread(self._desired.replace, wanted)
        try:
            await self._between_frames(self._desired.apply)
        except CameraError as error:
            log.info("settings wait for the camera", settings=", ".join(sorted(wanted)), reason=error.reason)
        return Response(_LISTED.dump_json({"settings": self._desired.became()}), media_type="application/json")

    async def _between_frames(self, function: Callable[[Driver], T]) -> T:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asyncio.wrap_future(self._grabber.call(function))
        except TimeoutError:
            error = CameraError("the camera's driver is busy")
            error.reason = Reason.CAMERA_STALLED
            raise error from None


def _set(
    grabber: Grabber, driver: Driver, wish: dict[str, int | None]
) -> tuple[str, Sequence[Control], Values, str | None]:
    """(camera's name, controls afterwards, what was set, why the rest was not)."""
    controls = driver.controls()
    done: Values = {}
    refusal = None
    for name, value in in_order(check(wish, controls), controls):
        try:
            driver.set_control(name, value)
        except ControlRefused as error:
            refusal = f"{name}={value}: {error}"
            break
        done[name] = value
    return grabber.camera_name, driver.controls(), done, refusal


def _listed(controls: Sequence[Control], *, kept: bool = True) -> Response:
    """`kept` False: the values are in force, but cannot be saved for the next start."""
    body = {"controls": [asdict(one) for one in controls], "kept": kept}
    return Response(_LISTED.dump_json(body), headers={"Cache-Control": "no-store"}, media_type="application/json")
