"""How things fail: the three verdicts that decide what happens next, and the problem document of HTTP answers."""

from pydantic import BaseModel, ConfigDict


class BrokenMessage(ValueError):
    """A message that cannot be read; the text says why, in one line.

    `cmd` and `trigger_id` are set where it was a command that can at least be answered: failed, broken_command.
    """

    def __init__(self, why: str, *, cmd: str | None = None, trigger_id: str | None = None) -> None:
        super().__init__(why)
        self.cmd = cmd
        self.trigger_id = trigger_id


class Retryable(Exception):
    """It may work later; nothing is wrong with what was asked. `retry_after` in seconds where the peer named it."""

    def __init__(self, reason: str, *, retry_after: float | None = None, endpoint: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.endpoint = endpoint
        """True: the peer itself is in trouble, all items wait. False: only this item waits."""


class Rejected(Exception):
    """The peer will never take this item. `reason` is one of the closed list in outcome.py."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Misconfigured(Exception):
    """A person must act (token, device id, URL); the item stays, delivery pauses and probes."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Problem(BaseModel):
    """RFC 9457 problem details; plain peers read `detail`. Media type `application/problem+json`."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    reason: str | None = None
    """Extension member: a machine-readable word, e.g. `camera_absent`."""


PROBLEM_JSON = "application/problem+json"
