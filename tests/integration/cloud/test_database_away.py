"""PostgreSQL goes away under a running cloud and comes back."""

from typing import Any

import pytest
from support.postgres import PostgresServer

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the server below is this test's own


async def test_a_database_that_is_away_is_503_with_retry_after_and_loses_nothing(start: Any) -> None:
    with PostgresServer() as server:
        cloud = await start(database_url=server.url("one"))
        await cloud.register("D1")
        before = await cloud.trigger("D1")
        server.stop()
        for method, path in (("GET", "/v1/devices"), ("POST", "/v1/devices/D1/trigger"), ("GET", "/healthz")):
            answer = await cloud.client.request(method, path)
            assert answer.status_code == 503, answer.text
            assert answer.json()["reason"] == "database" and int(answer.headers["retry-after"]) > 0
        answer = await cloud.capture("D1", before)
        assert answer.status_code == 503 and answer.headers["content-type"] == "application/problem+json"
        assert (await cloud.client.get("/v1/devices/D1/commands")).status_code == 503
        server.start()
        assert (await cloud.capture("D1", before)).status_code == 201
        assert (await cloud.row("D1", before))["status"] == "executed"
