"""Faults that the fake camera shows on request; the test suites set them through `POST /fake/faults`."""

import threading
import time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["none", "absent", "stalled", "frozen", "bad_frames", "slow"]


class Fault(BaseModel):
    """Body of `POST /fake/faults`, and what `GET /fake/faults` answers (with the seconds left)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: Kind
    """`absent`: unplugged. `stalled`: open, no frames. `frozen`: the same frame, with its old timestamp, again and
    again. `bad_frames`: every frame is broken. `slow`: one frame a second."""
    seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None
    """Then it is over by itself; None: until the next POST."""


class Faults:
    """The fault in force. Safe to use from threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kind: Kind = "none"
        self._until: float | None = None

    def set(self, fault: Fault) -> None:
        """From now on."""
        with self._lock:
            self._kind = fault.fault
            self._until = None if fault.seconds is None else time.monotonic() + fault.seconds

    def now(self) -> Fault:
        """What is in force, with the seconds left."""
        with self._lock:
            left = None if self._until is None else self._until - time.monotonic()
            if left is not None and left <= 0:
                self._kind, self._until, left = "none", None, None
            return Fault(fault=self._kind, seconds=left)

    @property
    def kind(self) -> Kind:
        """The kind in force."""
        return self.now().fault
