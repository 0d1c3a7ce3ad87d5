"""What one `docker ps` says of the services."""

from __future__ import annotations

from typing import Any

from visantctl.releases.stack import ALIVE, any_running, states


class SayingEngine:
    """Answers `docker ps`, in the words of Docker 20.10 to 28."""

    def __init__(self, *lines: str) -> None:
        self._said = "\n".join(lines) + "\n"

    def run(self, *_: str, **__: Any) -> str:
        return self._said


def test_a_service_that_runs_and_is_unhealthy_is_told_from_one_that_runs() -> None:
    engine: Any = SayingEngine(
        "redis\trunning\tUp 2 hours (healthy)",
        "camera\trunning\tUp 2 hours (unhealthy)",
        "connector\trunning\tUp 3 seconds (health: starting)",
        "uploader\texited\tExited (137) 4 minutes ago",
        "",
    )
    assert states(engine, "visant") == {
        "redis": "running",
        "camera": "unhealthy",
        "connector": "running",
        "uploader": "exited",
    }


def test_an_unhealthy_service_is_there_all_the_same() -> None:
    engine: Any = SayingEngine("camera\trunning\tUp 2 hours (unhealthy)")
    assert any_running(engine, "visant")
    assert "exited" not in ALIVE
