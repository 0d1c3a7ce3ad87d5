"""Errors as answers."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import exc

from visant_cloud import problems


@pytest.mark.parametrize(
    ("sqlstate", "invalidated", "status"),
    [("40P01", False, 503), ("40001", False, 503), ("08003", False, 503), ("22003", False, 500), ("22003", True, 503)],
)
async def test_errors_of_the_database_that_pass_are_503_and_others_are_ours(
    sqlstate: str, invalidated: bool, status: int
) -> None:
    class Said(Exception):
        pass

    said = Said()
    said.sqlstate = sqlstate  # type: ignore[attr-defined]
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    async def fails() -> None:
        raise exc.DBAPIError("SELECT 1", None, said, connection_invalidated=invalidated)

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        assert (await client.get("/")).status_code == status


async def test_a_connection_that_ends_without_a_word_is_503_too() -> None:
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    async def fails() -> None:
        raise ConnectionResetError

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        assert (await client.get("/")).status_code == 503
