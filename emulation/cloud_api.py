"""The cloud's public HTTP interface as an operator's program uses it. Nothing here knows a process or a file."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any

import httpx

FINAL = ("executed", "failed", "expired")
_PAGE = 1000


class NotAccepted(Exception):
    """The cloud refused for good; the text holds status and detail."""


@dataclass(frozen=True)
class TriggerRow:
    """One trigger as the cloud tells it."""

    trigger_id: str
    status: str
    reason: str | None
    created_at: datetime
    stored_at: datetime | None
    """When the picture was stored, by the cloud's clock."""
    ended_at: datetime | None
    record_id: str | None
    final: bool
    """An outcome of the device, or a stored picture; not the cloud's own guess about a silent device."""

    @property
    def latency(self) -> float | None:
        """Seconds from the trigger to its stored picture."""
        return None if self.stored_at is None else (self.stored_at - self.created_at).total_seconds()


class CloudApi:
    """A client of one cloud. `token` is an API token, not needed where AUTH=open; `tls` knows the cloud's authority."""

    def __init__(self, url: str, *, token: str | None = None, tls: ssl.SSLContext | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = url
        self._client = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            verify=tls or True,
            timeout=httpx.Timeout(10.0, pool=None),  # a burst waits for its turn
            limits=httpx.Limits(max_connections=20),
            trust_env=False,
        )

    async def __aenter__(self) -> "CloudApi":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes its connections."""
        await self._client.aclose()

    async def trigger(self, device_id: str, key: str, *, patience: float = 60.0) -> str:
        """The id of the trigger that `key` stands for; asked again until the cloud answers, `patience` seconds long.

        Raises NotAccepted where it says no, or nothing for too long.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        while True:
            try:
                answer = await self._client.post(f"/v1/devices/{device_id}/trigger", headers={"Idempotency-Key": key})
                if answer.status_code in (200, 201, 202):
                    return str(answer.json()["trigger_id"])
                said = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code < 500 and answer.status_code != 429:
                    raise NotAccepted(said)
            except httpx.HTTPError as error:
                said = f"{type(error).__name__}: {error}"
            if loop.time() > until:
                raise NotAccepted(f"no answer within {patience:.0f} s, last: {said}")
            await asyncio.sleep(0.2)

    async def triggers(self, device_id: str) -> dict[str, TriggerRow]:
        """Every trigger of the device, by id, newest first."""
        rows = [_row(found) for found in await self._pages(f"/v1/devices/{device_id}/triggers", "triggers")]
        return {row.trigger_id: row for row in rows}

    async def captures(self, device_id: str) -> list[dict[str, Any]]:
        """Every stored capture of the device, newest first."""
        return await self._pages("/v1/captures", "captures", device_id=device_id)

    async def captures_of_all(self) -> list[dict[str, Any]]:
        """Every stored capture of every device, newest first."""
        return await self._pages("/v1/captures", "captures")

    async def picture(self, record_id: str) -> bytes:
        """The stored JPEG. Raises httpx.HTTPError."""
        answer = await self._client.get(f"/v1/captures/{record_id}/picture")
        answer.raise_for_status()
        return answer.content

    async def subscribers(self) -> dict[str, int]:
        """Open command streams by device id."""
        answer = await self._client.get("/v1/devices/connected")
        answer.raise_for_status()
        return {device["device_id"]: int(device["subscribers"]) for device in answer.json()["devices"]}

    async def mail_alerts_to(self, address: str) -> None:
        """A channel of that name, where there is none yet. Raises httpx.HTTPError."""
        new = {"type": "email", "name": address, "target": address}
        answer = await self._client.post("/v1/channels", json=new)
        if answer.status_code != 409:
            answer.raise_for_status()

    async def choose_alert_rules(self, **rules: Any) -> None:
        """What counts as an alert; what is not named is the default. Raises httpx.HTTPError."""
        (await self._client.put("/v1/alerts/rules", json=rules)).raise_for_status()

    async def change_device(self, device_id: str, **fields: bool) -> None:
        """Changes what `fields` name, e.g. `token_revoked=True`. Raises httpx.HTTPError."""
        (await self._client.patch(f"/v1/devices/{device_id}", json=fields)).raise_for_status()

    async def _pages(self, path: str, name: str, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        before: dict[str, str] = {}
        while True:
            answer = await self._client.get(path, params={"limit": str(_PAGE), **query, **before})
            answer.raise_for_status()
            page = answer.json()
            found += page[name]
            if page["next_before"] is None:
                return found
            before = {"before": str(page["next_before"])}


def _row(found: dict[str, Any]) -> TriggerRow:
    return TriggerRow(
        trigger_id=found["trigger_id"],
        status=found["status"],
        reason=found["reason"],
        created_at=datetime.fromisoformat(found["created_at"]),
        stored_at=_time(found["stored_at"]),
        ended_at=_time(found["ended_at"]),
        record_id=found["record_id"],
        final=found["status"] in FINAL and not found["provisional"],
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
