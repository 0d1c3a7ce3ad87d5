"""What the heartbeat says of the connector's work."""

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from visant_connector.admission import AdmissionResult
from visant_connector.counters import Counters
from visant_runtime.heartbeat import Heartbeat


@pytest.fixture
def beat(tmp_path: Path) -> Heartbeat:
    return Heartbeat(tmp_path / "heartbeat")


def facts(beat: Heartbeat) -> Any:
    beat.write()
    return json.loads(beat._path.read_text())["facts"]


def test_every_count_is_there_from_the_start(beat: Heartbeat) -> None:
    Counters(beat)
    found = facts(beat)
    assert [found[name] for name in ("admitted", "duplicates", "reconnects", "left_out", "gaps")] == [0] * 5
    assert found["commands"] == {"admitted": 0, "renewed": 0, "duplicate": 0, "unremembered": 0}
    assert not found["stream"]["confirmed"]


def test_commands_are_counted_by_what_became_of_them(beat: Heartbeat) -> None:
    counters = Counters(beat)
    for place, result in enumerate(AdmissionResult, 1):
        for _ in range(place):
            counters.command(result)
    found = facts(beat)
    assert found["commands"] == {"admitted": 1, "renewed": 2, "duplicate": 3, "unremembered": 4}
    assert (found["admitted"], found["duplicates"]) == (5, 5)


def test_reconnects_gaps_and_what_was_left_out_are_counted(beat: Heartbeat) -> None:
    counters = Counters(beat)
    counters.reconnect()
    for _ in range(2):
        counters.gap()
    for _ in range(3):
        counters.left_out("broken")
    found = facts(beat)
    assert (found["reconnects"], found["gaps"], found["left_out"]) == (1, 2, 3)


def test_a_cloud_that_sends_thousands_of_broken_messages_is_named_sparingly(beat: Heartbeat) -> None:
    counters = Counters(beat)
    with capture_logs() as lines:
        for _ in range(300):
            counters.left_out("broken")
    assert [line["count"] for line in lines] == [*range(1, 11), 100, 200, 300]


def test_a_stream_is_confirmed_until_it_is_lost(beat: Heartbeat) -> None:
    counters = Counters(beat)
    counters.confirmed(10.0, cloud_id="cloud-1")
    counters.event(12.5)
    counters.tick(20.0)
    found = facts(beat)
    assert found["stream"] == {"confirmed": True, "since_boottime": 10.0, "last_event_boottime": 12.5}
    assert (found["cloud_id"], found["connected_since_boottime"], found["last_event_age"]) == ("cloud-1", 10.0, 7.5)
    counters.lost()
    assert facts(beat)["stream"] == {"confirmed": False, "since_boottime": None, "last_event_boottime": 12.5}
