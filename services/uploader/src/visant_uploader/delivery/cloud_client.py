"""The cloud's door for outcomes: a receipt, or why there is none."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from visant_contract.capture import (
    CAPTURE_HEADER,
    CAPTURE_HEADER_MAX,
    IDEMPOTENCY_KEY,
    JPEG,
    MEANT_FOR,
    CaptureTime,
    trigger_label,
)
from visant_contract.errors import Retryable
from visant_contract.outcome import OutcomeReport
from visant_contract.stages import KEY, Stage, StageName
from visant_contract.telemetry import Telemetry
from visant_runtime.clock import Clock
from visant_runtime.device.cloud_errors import in_between, refused
from visant_runtime.device.cloud_http import (
    FAILURES,
    Client,
    Transport,
    open_client,
    request_limits,
    trusted_authorities,
    why,
)
from visant_uploader.counters import Counters
from visant_uploader.delivery.connections import Connections, StaleConnection
from visant_uploader.delivery.retry_policy import FOR_A_PERSON, Refused, Speaker, Unanswered, verdict
from visant_uploader.delivery.upload_body import Body, UploadBody, WholeBody
from visant_uploader.delivery.upload_limits import UploadLimits
from visant_uploader.settings import UploaderSettings
from visant_uploader.spool.file_format import Outcome, SpoolHeader

MAX_ANSWER_BYTES = 256 * 1024
Stages = Mapping[StageName, Stage]

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
        self._silence = settings.upload_timeout
        self._clock = clock
        self._counters = counters
        self._device = f"/v1/devices/{quote(settings.device_id, safe='')}"
        trusted = trusted_authorities()

        def open_one(keep_alive: float) -> Client:
            return open_client(
                settings,
                silence=settings.upload_timeout,
                headers={"User-Agent": f"visant-uploader/{device_version}"},
                keep_alive=keep_alive,
                transport=transport,
                trusted=trusted,
            )

        self._connections = Connections(open_one)

    async def close(self) -> None:
        """Closes the connections."""
        await self._connections.close()

    def renew(self) -> None:
        """The network may be another one: connections that idle are used no more."""
        self._connections.renew()

    async def send_picture(
        self, outcome: Outcome, captured_at: datetime, time: CaptureTime, stages: Stages | None = None, *, raw: bool
    ) -> str:
        """The cloud's record id. `raw`: the cloud takes the JPEG as it is. Raises Retryable, Refused."""
        header = outcome.header
        metadata: dict[str, Any] = {
            "device_version": header.device_version,
            "trigger_type": header.trigger_type,
            "time": time.model_dump(mode="json"),
            "sha256": header.body_sha256,
            "sequence": header.sequence,
            "width": header.width,
            "height": header.height,
            **_told(stages),
        }
        fields = {
            "device_id": header.device_id,
            "trigger_id": header.trigger_id,
            "captured_at": captured_at.isoformat(),
            "trigger_label": trigger_label(header.trigger_type, header.trigger_id),
            "metadata": metadata,
        }
        body: Body = UploadBody(fields, outcome.body)
        named = {IDEMPOTENCY_KEY: _header_safe(header.trigger_id), **_meant_for(header)}
        told = json.dumps(fields, separators=(",", ":"))  # ASCII
        if raw and len(told) <= CAPTURE_HEADER_MAX:
            body = WholeBody(outcome.body)
            named |= {CAPTURE_HEADER: told, "Content-Type": JPEG}
        status, headers, answer = await self._post("/v1/captures", body, named, header.plain)
        if status in (200, 201):
            try:
                return str(_Receipt.model_validate_json(answer).record_id)
            except ValidationError:
                pass  # a captive portal says 200 to everything; the verdict below is Retryable
        raise self._verdict(status, headers, answer, header.plain)

    async def send_report(self, header: SpoolHeader, report: OutcomeReport, stages: Stages | None = None) -> None:
        """The cloud knows. Raises Retryable, Refused."""
        report = report.model_copy(update={"metadata": {**report.metadata, **_told(stages)}})
        path = f"{self._device}/triggers/{quote(header.trigger_id, safe='')}/outcome"
        body = report.model_dump_json(exclude_none=True).encode()
        status, headers, answer = await self._post(path, WholeBody(body), _meant_for(header), header.plain)
        if not 200 <= status < 300 or not _is(_Row, answer):
            raise self._verdict(status, headers, answer, header.plain)

    async def send_telemetry(self, telemetry: Telemetry, *, plain: bool) -> None:
        """The cloud knows. Raises Retryable, Refused."""
        body = telemetry.model_dump_json(exclude_none=True).encode()
        status, headers, answer = await self._post(f"{self._device}/telemetry", WholeBody(body), {}, plain)
        if not 200 <= status < 300 or answer.lstrip()[:1] == b"<":  # a captive portal's page
            raise self._verdict(status, headers, answer, plain)

    def _verdict(self, status: int, headers: dict[str, str], answer: bytes, plain: bool) -> Retryable | Refused:
        """With the remedy that the connector names as well, where the cloud does not want this device."""
        found = verdict(status, headers, answer, plain=plain)
        if isinstance(found, Refused):
            if found.speaker is Speaker.NETWORK and not found.is_fault:
                found.detail = in_between(status, answer[:_DETAIL_KEPT].decode(errors="replace").strip())
            elif status in FOR_A_PERSON:
                found.detail = refused(status, _detail(answer), self._device_id, self._with_token)
        return found

    async def _post(
        self, path: str, body: Body, headers: dict[str, str], plain: bool
    ) -> tuple[int, dict[str, str], bytes]:
        try:
            return await self._try(path, body, headers, plain)
        except StaleConnection:  # only of ours, which knows what it has
            await self._connections.shorten()
            return await self._try(path, body, headers, plain)

    async def _try(
        self, path: str, body: Body, headers: dict[str, str], plain: bool
    ) -> tuple[int, dict[str, str], bytes]:
        sent = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        limits = UploadLimits(body, self._silence)
        answer = bytearray()
        async with self._connections.use(plain=plain) as use:
            try:
                async with (
                    limits.timeout(),
                    use.client.stream(
                        "POST",
                        path,
                        content=limits.pieces(),
                        headers=sent,
                        **request_limits(self._silence, use.note_connected),
                    ) as got,
                ):
                    async for piece in got.aiter_bytes():
                        answer += piece
                        if len(answer) > MAX_ANSWER_BYTES:
                            break
            except TimeoutError:
                if use.is_stale:
                    raise StaleConnection from None
                raise Unanswered(limits.expired_text()) from None
            except FAILURES as error:
                if use.is_stale:
                    raise StaleConnection from None
                text = why(error, self._api_url, silence=self._silence, wall=self._clock.wall())
                raise Unanswered(text) from None
            finally:
                self._counters.add("upload_requests")
        self._counters.add("upload_bytes_sent", len(body))
        self._counters.add("upload_bytes_received", len(answer))
        return got.status_code, {name.lower(): value for name, value in got.headers.items()}, bytes(answer)


def _is(kind: type[BaseModel], answer: bytes) -> bool:
    try:
        kind.model_validate_json(answer)
    except ValidationError:
        return False
    return True


def _told(stages: Stages | None) -> dict[str, Any]:
    """Part of `metadata`."""
    return (
        {}
        if stages is None
        else {KEY: {name: stage.model_dump(mode="json", exclude_none=True) for name, stage in stages.items()}}
    )


def _detail(answer: bytes) -> str:
    """What the cloud says, which is one of the two forms in which it speaks."""
    return str(json.loads(answer).get("detail"))[:_DETAIL_KEPT]


def _meant_for(header: SpoolHeader) -> dict[str, str]:
    return {} if header.plain else {MEANT_FOR: _header_safe(header.cloud_id)}


def _header_safe(trigger_id: str) -> str:
    """A header field carries visible ASCII; ids that hold more are percent-encoded, always the same way."""
    if trigger_id.isascii() and trigger_id.isprintable() and trigger_id == trigger_id.strip():
        return trigger_id
    return quote(trigger_id, safe="")
