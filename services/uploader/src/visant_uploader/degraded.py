"""What outside this process is not as it should be: said once in the log, and shown until it is over."""

import structlog

from visant_runtime.heartbeat import Heartbeat

log = structlog.get_logger()


class Degraded:
    """None: it works."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat
        self._problems: dict[str, str | None] = {}

    @property
    def disk_ok(self) -> bool:
        """Whether the last outcome could be written."""
        return self._problems.get("spool") is None

    def redis(self, problem: str | None) -> None:
        """The command queue."""
        self._note("redis", problem, "Redis does not answer, waiting for it", "Redis answers again")

    def disk(self, problem: str | None) -> None:
        """The spool."""
        self._note(
            "spool",
            problem,
            "outcomes cannot be written, no more commands are taken up",
            "outcomes can be written again",
        )

    def _note(self, part: str, problem: str | None, bad: str, good: str) -> None:
        before = self._problems.get(part)
        if problem is not None and before is None:
            log.warning(bad, problem=problem)
        if problem is None and before is not None:
            log.info(good)
        if problem != before:
            self._problems[part] = problem
            self._heartbeat.degraded(part, problem)
