"""`GET` and `POST /fake/faults`: what the web server answers beside the rest while the fake camera is the source."""

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from visant_camera.drivers.fake.faults import Fault, Faults
from visant_camera.http.problems import problem, small_body


def fault_routes(faults: Faults) -> list[Route]:
    """To be served; `faults` are those of the driver."""

    def in_force() -> Response:
        text = faults.now().model_dump_json()
        return Response(text, headers={"Cache-Control": "no-store"}, media_type="application/json")

    async def show(request: Request) -> Response:
        return in_force()

    async def change(request: Request) -> Response:
        try:
            fault = Fault.model_validate_json(await small_body(request))
        except ValidationError as error:
            first = error.errors()[0]
            return problem(422, f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}")
        faults.set(fault)
        return in_force()

    return [Route("/fake/faults", show), Route("/fake/faults", change, methods=["POST"])]
