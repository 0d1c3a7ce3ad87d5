"""A device by the public wire alone, as one thread: takes each command once, and answers it as it is told to."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Self

import httpx

from visant_contract.capture import CAPTURE_HEADER

Answer = bytes | dict[str, Any] | None
"""A JPEG to deliver, an outcome to report, or None: silence."""


class WireDevice:
    """`with WireDevice(...)`: its stream is open. `answers` is asked for each command."""

    def __init__(self, url: str, device_id: str, token: str, answers: Callable[[dict[str, Any]], Answer]) -> None:
        self._client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False
        )
        self._device_id = device_id
        self._answers = answers
        self._connected = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"wire device {device_id}", daemon=True)
        self._stream: httpx.Response | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._connected.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._stream is not None:
            with suppress(Exception):
                sock = self._stream.extensions["network_stream"].get_extra_info("socket")
                sock.shutdown(2)  # whoever reads it wakes
        self._thread.join(60)
        self._client.close()

    def _run(self) -> None:
        where = f"/v1/devices/{self._device_id}"
        taken: set[str] = set()
        with (
            suppress(httpx.HTTPError),
            self._client.stream("GET", f"{where}/commands", params={"device_version": "2.0.0"}) as stream,
        ):
            self._stream = stream
            stream.raise_for_status()
            for line in stream.iter_lines():
                if self._stop.is_set():
                    return
                told = json.loads(line[5:]) if line.startswith("data:") else {}
                if told.get("event") == "connected":
                    self._connected.set()
                if "cmd" in told and told["trigger_id"] not in taken:
                    taken.add(told["trigger_id"])
                    self._answer(where, told)

    def _answer(self, where: str, command: dict[str, Any]) -> None:
        answer = self._answers(command)
        if isinstance(answer, bytes):
            facts = {
                "device_id": self._device_id,
                "trigger_id": command["trigger_id"],
                "captured_at": datetime.now(UTC).isoformat(),
            }
            headers = {CAPTURE_HEADER: json.dumps(facts), "Content-Type": "image/jpeg"}
            self._client.post("/v1/captures", content=answer, headers=headers).raise_for_status()
        elif answer is not None:
            said = self._client.post(f"{where}/triggers/{command['trigger_id']}/outcome", json=answer)
            said.raise_for_status()
