"""A one-time code becomes this device's own token."""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from typing import Any

from visantctl.errors import Misconfigured, Problem, Refused, Unreachable
from visantctl.host import durable
from visantctl.host.place import Place
from visantctl.host.settings import Settings
from visantctl.network.uplink import opener

_TIMEOUT = 30.0


def exchange(settings: Settings, api_url: str, code: str, *, replace: bool) -> tuple[str, str]:
    """(device id, token). The code is spent when this returns; Refused and Unreachable say why it is not."""
    if not api_url:
        raise Misconfigured("API_URL is not set: give --api-url")
    body: dict[str, Any] = {"code": code, "replace": replace}
    if settings.device_id:
        body["device_id"] = settings.device_id
    request = urllib.request.Request(
        f"{api_url}/v1/enrol", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with opener(settings.proxies).open(request, timeout=_TIMEOUT) as answer:
            found = json.loads(answer.read(100_000))
        return str(found["device_id"]), str(found["token"])
    except urllib.error.HTTPError as error:
        raise _said(error, api_url) from None
    except (OSError, urllib.error.URLError) as error:
        why = getattr(error, "reason", error)
        raise Unreachable(
            f"the cloud at {api_url} does not answer ({why}): check the network, then try again"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise Problem(f"{api_url} answered with something that is no enrolment: is API_URL right?") from None


def _said(error: urllib.error.HTTPError, api_url: str) -> Problem:
    try:
        detail = json.loads(error.read(10_000)).get("detail")
    except (OSError, ValueError, AttributeError):
        detail = None
    if error.code == 404 and not isinstance(detail, str):
        return Refused(f"{api_url} knows no enrolment (404): is API_URL right, and the cloud this project's?")
    if error.code in (429, 500, 502, 503, 504):
        return Unreachable(f"{api_url} answered {error.code}: {detail or 'try again in a minute'}")
    return Refused(f"not enrolled ({error.code}): {detail or 'no reason given'}")


def remember(place: Place, code: str, device_id: str, token: str) -> None:
    """A code works once: whoever types the same command again must not stumble over it. Kept as digests."""
    durable.write_json(
        place.state / "enrolled.json", {"code": _digest(code), "token": _digest(token), "device_id": device_id}
    )


def used_here(place: Place, code: str) -> str | None:
    """The device id, when this code gave this device the token that it has now."""
    value = durable.read_json(place.state / "enrolled.json")
    try:
        token = (place.root / "secrets/device_token").read_text().strip()
    except OSError:
        return None
    if not isinstance(value, dict) or (value.get("code"), value.get("token")) != (_digest(code), _digest(token)):
        return None
    return str(value.get("device_id") or "") or None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
