"""The page with which a person points and focuses the camera: live picture, sharpness, controls."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from visant_camera.http.aiming.stream import Viewers

_PAGE = Path(__file__).with_name("page.html")


def aiming_routes(viewers: Viewers) -> list[Route]:
    """`/` and `/stream`."""

    async def page(request: Request) -> Response:
        return FileResponse(_PAGE, headers={"Cache-Control": "no-cache"})

    return [Route("/", page), Route("/stream", viewers.answer)]
