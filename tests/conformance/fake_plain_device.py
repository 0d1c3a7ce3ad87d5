"""A fake of a device that speaks only the plain protocol of v2.0: it reads lines that begin with `data:`, each one
complete JSON object, ignores extra keys, sends no token and no Idempotency-Key, and reads `record_id`."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import httpx


class FakePlainDevice:
    """Handles `count` captures, then returns the record ids by trigger id."""

    def __init__(self, url: str, device_id: str, jpeg: bytes) -> None:
        self._url = url
        self._device_id = device_id
        self._jpeg = jpeg
        self.events: list[str] = []
        self.receipts: dict[str, dict[str, Any]] = {}

    async def run(self, count: int) -> None:
        """Until `count` captures were taken over."""
        async with (
            httpx.AsyncClient(base_url=self._url, trust_env=False, timeout=30) as client,
            client.stream("GET", f"/v1/devices/{self._device_id}/commands", params={"device_version": "2.0"}) as stream,
        ):
            stream.raise_for_status()
            async for line in stream.aiter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:].strip())
                if message.get("cmd") == "capture":
                    await self._capture(client, message["trigger_id"], message.get("type", "manual"))
                    if len(self.receipts) >= count:
                        return
                else:
                    self.events.append(message.get("event", ""))

    async def _capture(self, client: httpx.AsyncClient, trigger_id: str, kind: str) -> None:
        answer = await client.post(
            "/v1/captures",
            json={
                "device_id": self._device_id,
                "trigger_id": trigger_id,
                "image_base64": base64.b64encode(self._jpeg).decode(),
                "captured_at": datetime.now(UTC).isoformat(),
                "trigger_label": f"{kind}_{trigger_id}",
                "metadata": {"device_version": "2.0", "trigger_type": kind},
            },
        )
        assert answer.status_code in (200, 201), answer.text
        self.receipts[trigger_id] = answer.json()
