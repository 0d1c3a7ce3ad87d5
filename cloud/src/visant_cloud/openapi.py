"""What the API's description says of every route beside what FastAPI finds by itself: who may call, and all refusals.

A route names the refusals of its own case (`refuses`); those of a whole kind of route are added here. tests/fuzz calls
every route with whatever fits and does not fit, and fails where an answer is not named.
"""

from typing import Any

from visant_contract.capture import MEANT_FOR
from visant_contract.errors import PROBLEM_JSON, Problem

_MEANING = {
    400: "The body cannot be read as what it claims to be",
    401: "Credentials are missing, or not valid here",
    403: "These credentials do not allow it, or the device is not active",
    404: "There is no such device, trigger or record",
    408: "The request's body did not come in time",
    409: "What is there already does not allow it",
    412: "It is meant for another cloud, or what it changes is not what was seen (If-Match)",
    413: "It is larger than this cloud takes",
    415: "It is not of a media type that this cloud takes",
    422: "A value is missing, or not one that is taken here",
    428: "It must say what was seen (If-Match)",
    429: "Too often, or too much at once",
    431: "The request's headers are larger, or more, than this cloud takes",
    503: "Not now: the cloud is busy, ends, or cannot reach its database or its pictures; nothing was stored",
    507: "The cloud's disk is full; nothing was stored",
}
_COME_BACK = (429, 503, 507)
_SCHEMES: dict[str, dict[str, Any]] = {
    "device_token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A device's own. An old client that is known as one needs none before it first shows one",
    },
    "api_token": {"type": "http", "scheme": "bearer", "description": "Of `visant-cloud create-token`"},
    "session": {"type": "apiKey", "in": "cookie", "name": "visant_session", "description": "Of a sign-in"},
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "Of the page that a session was shown, for what changes something",
    },
}
_MEANT_FOR = {
    "name": MEANT_FOR,
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The cloud_id of the cloud that sent the trigger; another one refuses with 412",
}
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def refuses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route: the refusals of its own case."""
    return {status: {"description": _MEANING[status]} for status in statuses}


def complete(description: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's description, with what it says of no route or wrongly of each (422 is a problem document, too)."""
    parts = description.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for replaced in ("HTTPValidationError", "ValidationError"):
        schemas.pop(replaced, None)
    schemas["Problem"] = Problem.model_json_schema()
    parts["securitySchemes"] = _SCHEMES
    parts["responses"] = {_name(status): _response(status) for status in _MEANING}
    for path, methods in description["paths"].items():
        for method in set(methods) & set(_METHODS):
            _complete(methods[method], path, method)
    return description


def _complete(operation: dict[str, Any], path: str, method: str) -> None:
    security = operation.setdefault("security", _security(operation["tags"], method))
    answers = operation["responses"]
    statuses = {int(status) for status in answers if int(status) in _MEANING} - {422} | {431, 503}
    if security:
        statuses |= {401, 403}
    if "device" in operation["tags"]:
        statuses.add(429)
    if "{" in path:
        statuses.add(404)
    if operation.get("parameters"):
        statuses.add(422)
    if 412 in statuses and "device" in operation["tags"]:
        operation.setdefault("parameters", []).append(_MEANT_FOR)
    if "requestBody" in operation:
        statuses |= {400, 408, 413, 422, 429}
    answers.pop("422", None)
    for status in sorted(statuses):
        answers[str(status)] = {"$ref": f"#/components/responses/{_name(status)}"}


def _security(tags: list[str], method: str) -> list[dict[str, list[str]]]:
    if "operator" in tags:
        session: dict[str, list[str]] = {"session": []} if method == "get" else {"session": [], "csrf": []}
        return [{"api_token": []}, session]
    return [{"device_token": []}] if "device" in tags else []


def _name(status: int) -> str:
    return f"Refused{status}"


def _response(status: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": _MEANING[status],
        "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in _COME_BACK:
        seconds = {"type": "integer", "minimum": 1, "description": "seconds"}
        found["headers"] = {"Retry-After": {"required": True, "schema": seconds}}
    if status == 401:
        found["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    return found
