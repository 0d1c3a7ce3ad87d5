"""Telemetry is taken as far as it is any good."""

from typing import Any

import pytest
from pydantic import ValidationError

from visant_contract.telemetry import Telemetry


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 10**400, -(2**63), 1e300, "NaN", "1e999"])
def test_a_number_that_means_nothing_becomes_absent_and_the_rest_stays(bad: Any) -> None:
    spool = {"pictures": bad, "reports": 1, "bytes": bad, "limit_bytes": 9, "days_left": bad}
    said = {"device_version": "2", "temperature": bad, "uptime": 60, "disk_free_bytes": bad, "spool": spool}
    read = Telemetry.model_validate({**said, "counters": {"a": bad, "b": 2}})
    assert read.model_dump(mode="json", exclude_defaults=True) == {
        "device_version": "2",
        "uptime": 60.0,
        "spool": {"reports": 1, "limit_bytes": 9},
        "counters": {"b": 2.0},
    }
    assert Telemetry.model_validate_json(read.model_dump_json()) == read


def test_facts_of_the_host_are_taken_as_far_as_they_are_known_and_their_numbers_mean_anything() -> None:
    host = {
        "age": float("nan"),
        "card": {"errors": 10**400, "pre_eol": 1},
        "fan": 3,
        "restarts": {"camera": 1e300, "uploader": 2},
    }
    read = Telemetry.model_validate({"device_version": "2", "host": host}).host
    assert read is not None
    assert read.model_dump(exclude_defaults=True) == {"card": {"pre_eol": 1}, "restarts": {"uploader": 2}}


@pytest.mark.parametrize("wrong", [{"temperature": "warm"}, {"spool": {"pictures": 1.5}}, {"counters": {"a": "many"}}])
def test_what_is_no_number_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Telemetry.model_validate({"device_version": "2", **wrong})
