"""The cloud's door for outcomes: a receipt, or one of the three verdicts."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from visant_contract.capture import IDEMPOTENCY_KEY, MEANT_FOR, CaptureTime, trigger_label
from visant_contract.errors import Misconfigured, Problem, Rejected, Retryable
from visant_contract.outcome import OutcomeReport
from visant_contract.telemetry import Telemetry
from visant_runtime.clock import Clock
from visant_runtime.device.cloud_errors import refused
from visant_runtime.device.cloud_http import FAILURES, Transport, open_client, why
from visant_uploader.counters import Counters
from visant_uploader.delivery.retry_policy import verdict
from visant_uploader.delivery.upload_body import UploadBody
from visant_uploader.settings import UploaderSettings
from visant_uploader.spool.file_format import Outcome, SpoolHeader

MAX_ANSWER_BYTES = 256 * 1024
KEEP_ALIVE = 5.0
"""Seconds: enough for a backlog."""

_DETAIL_KEPT = 200


class _Receipt(BaseModel):
    """The one field that makes an answer a receipt; whatever else a cloud adds must not turn it into none."""

    model_config = ConfigDict(extra="ignore")

    record_id: str | int


class _Row(BaseModel):
    """The one field that makes an answer to a report the cloud's own."""

    model_config = ConfigDict(extra="ignore")

    status: str


class CloudClient:
    """`transport` is for tests. Raises SettingsError as `open_client` does."""

    def __init__(
        self,
        settings: UploaderSettings,
        clock: Clock,
        *,
        counters: Counters,
        device_version: str,
        transport: Transport | None = None,
    ) -> None:
        self._api_url = settings.api_url
        self._device_id = settings.device_id
        self._with_token = settings.device_token is not None
        self._timeout = settings.upload_timeout
        self._clock = clock
        self._counters = counters
        self._device = f"/v1/devices/{quote(settings.device_id, safe='')}"
        self._http = open_client(
            settings,
            silence=settings.upload_timeout,
            headers={"User-Agent": f"visant-uploader/{device_version}"},
            keep_alive=KEEP_ALIVE,
            transport=transport,
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def send_picture(self, outcome: Outcome, captured_at: datetime, time: CaptureTime) -> str:
        """The cloud's record id. Raises Retryable, Rejected, Misconfigured."""
        header = outcome.header
        metadata: dict[str, Any] = {
            "device_version": header.device_version,
            "trigger_type": header.trigger_type,
            "time": time.model_dump(mode="json"),
            "sha256": header.body_sha256,
            "sequence": header.sequence,
            "width": header.width,
            "height": header.height,
        }
        fields = {
            "device_id": header.device_id,
            "trigger_id": header.trigger_id,
            "captured_at": captured_at.isoformat(),
            "trigger_label": trigger_label(header.trigger_type, header.trigger_id),
            "metadata": metadata,
        }
        body = UploadBody(fields, outcome.body)
        named = {IDEMPOTENCY_KEY: _header_safe(header.trigger_id), **_meant_for(header)}
        status, headers, answer = await self._post("/v1/captures", body, named)
        if status in (200, 201):
            try:
                return str(_Receipt.model_validate_json(answer).record_id)
            except ValidationError:
                pass  # a captive portal says 200 to everything; the verdict below is Retryable
        raise self._verdict(status, headers, answer)

    async def send_report(self, header: SpoolHeader, report: OutcomeReport) -> None:
        """The cloud knows. Raises Retryable, Rejected, Misconfigured."""
        path = f"{self._device}/triggers/{quote(header.trigger_id, safe='')}/outcome"
        body = report.model_dump_json(exclude_none=True).encode()
        status, headers, answer = await self._post(path, [body], _meant_for(header))
        if not 200 <= status < 300 or not _is(_Row, answer):
            raise self._verdict(status, headers, answer)

    async def send_telemetry(self, telemetry: Telemetry) -> None:
        """The cloud knows. Raises Retryable, Rejected, Misconfigured."""
        body = telemetry.model_dump_json(exclude_none=True).encode()
        status, headers, answer = await self._post(f"{self._device}/telemetry", [body], {})
        if not 200 <= status < 300 or answer.lstrip()[:1] == b"<":  # a captive portal's page
            raise self._verdict(status, headers, answer)

    def _verdict(self, status: int, headers: Mapping[str, str], answer: bytes) -> Retryable | Rejected | Misconfigured:
        """With the remedy that the connector names as well, where the cloud does not want this device."""
        found = verdict(status, headers, answer)
        if isinstance(found, Misconfigured) and status in (401, 403, 404):
            return Misconfigured(found.reason, refused(status, _detail(answer), self._device_id, self._with_token))
        return found

    async def _post(
        self, path: str, body: "UploadBody | list[bytes]", headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        length = len(body) if isinstance(body, UploadBody) else sum(map(len, body))
        sent = {"Content-Type": "application/json", "Content-Length": str(length), **headers}
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._http.stream("POST", path, content=_pieces(body), headers=sent) as got,
            ):
                answer = bytearray()
                async for piece in got.aiter_bytes():
                    answer += piece
                    if len(answer) > MAX_ANSWER_BYTES:
                        break
        except TimeoutError:
            raise Retryable(f"no answer within {self._timeout:.0f} s") from None
        except FAILURES as error:
            text = why(error, self._api_url, silence=self._timeout, wall=self._clock.wall())
            raise Retryable(text) from None
        finally:
            self._counters.add("upload_requests")
        self._counters.add("upload_bytes_sent", length)
        self._counters.add("upload_bytes_received", len(answer))
        return got.status_code, {name.lower(): value for name, value in got.headers.items()}, bytes(answer)


def _is(kind: type[BaseModel], answer: bytes) -> bool:
    try:
        kind.model_validate_json(answer)
    except ValidationError:
        return False
    return True


def _detail(answer: bytes) -> str:
    """What a problem document says, else how the answer begins."""
    try:
        return Problem.model_validate_json(answer).detail[:_DETAIL_KEPT]
    except ValidationError:
        return answer[:_DETAIL_KEPT].decode(errors="replace").strip()


async def _pieces(body: "UploadBody | list[bytes]") -> AsyncIterator[bytes]:
    for piece in body:
        yield piece


def _meant_for(header: SpoolHeader) -> dict[str, str]:
    return {} if header.plain else {MEANT_FOR: _header_safe(header.cloud_id)}


def _header_safe(trigger_id: str) -> str:
    """A header field carries visible ASCII; ids that hold more are percent-encoded, always the same way."""
    if trigger_id.isascii() and trigger_id.isprintable() and trigger_id == trigger_id.strip():
        return trigger_id
    return quote(trigger_id, safe="")
