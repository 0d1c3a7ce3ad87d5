"""The web application: routes and the form of errors, around one Cloud."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from visant_cloud import problems
from visant_cloud.access.body_limits import BodyLimit
from visant_cloud.context import Cloud
from visant_cloud.routes import captures, devices, enrolment, operations, pages, stream, triggers
from visant_runtime.version import release_version

_TAGS = [
    {"name": "device", "description": "What a device calls, with its device token"},
    {"name": "operator", "description": "What people and programs call, with a session or an API token"},
    {"name": "operations", "description": "Health and metrics"},
]


def create_app(cloud: Cloud) -> FastAPI:
    """The application that serves `cloud`."""
    app = FastAPI(
        title="Visant Edge cloud",
        version=release_version("visant-cloud"),
        openapi_tags=_TAGS,
        docs_url=None,  # ours (routes/pages.py) needs no script from elsewhere
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.state.cloud = cloud
    problems.install(app)
    app.add_middleware(BodyLimit)
    for routes in (stream, triggers, captures, devices, enrolment, operations, pages):
        app.include_router(routes.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    return app
