"""A one-time code becomes this device's own token."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from visantctl.errors import Misconfigured, Problem, Refused, Unreachable
from visantctl.settings import Settings
from visantctl.uplink import opener

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
