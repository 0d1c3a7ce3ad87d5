"""The API's description: every refusal is a problem document, and says what a caller needs to go on."""

from typing import Any

import pytest

from visant_cloud.app import create_app
from visant_contract.errors import PROBLEM_JSON


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return create_app(None).openapi()  # type: ignore[arg-type] # describes itself without a cloud


def operations(description: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", one) for path, methods in description["paths"].items() for method, one in methods.items()
    ]


def named(part: dict[str, Any], description: dict[str, Any]) -> Any:
    found: Any = description
    for step in part["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_every_refusal_of_every_route_is_a_problem_document(description: dict[str, Any]) -> None:
    assert len(operations(description)) > 20
    for name, one in operations(description):
        refusals = {int(status): answer for status, answer in one["responses"].items() if int(status) >= 400}
        assert 503 in refusals, name
        for status, answer in refusals.items():
            whole = named(answer, description)
            assert list(whole["content"]) == [PROBLEM_JSON], (name, status)
            assert whole["content"][PROBLEM_JSON]["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert ("Retry-After" in whole.get("headers", {})) == (status in (429, 503, 507)), (name, status)


def test_who_must_say_who_it_is_may_be_refused_for_it(description: dict[str, Any]) -> None:
    for name, one in operations(description):
        assert bool(one["security"]) == ("401" in one["responses"]), name
        for way in one["security"]:
            assert set(way) <= set(description["components"]["securitySchemes"]), name
    public = {name for name, one in operations(description) if not one["security"]}
    assert public == {"post /v1/enrol", "get /healthz", "get /readyz"}


def test_what_is_answered_when_all_is_well_is_described_by_field(description: dict[str, Any]) -> None:
    for name, one in operations(description):
        well = {status: answer for status, answer in one["responses"].items() if status.startswith("2")}
        assert well, name
        for status, answer in well.items():
            for media, content in answer.get("content", {}).items():
                if media == "application/json" and "z" not in name[-2:]:  # /healthz, /readyz: one word
                    assert "properties" in named(content["schema"], description), (name, status)
