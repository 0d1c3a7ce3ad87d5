"""Whether a device takes a release: each rule by itself."""

import json
from typing import Any

import pytest
from visantctl.errors import Misconfigured, Refused
from visantctl.host.settings import Settings
from visantctl.releases.manifest import Release, parse
from visantctl.updates.decide import reason_to_wait
from visantctl.updates.rollout import bucket, takes_part
from visantctl.version import is_version, order


def manifest(**changes: Any) -> dict[str, Any]:
    digest = "0" * 64
    value = {
        "format": 1, "version": "1.2.0", "revision": "abc", "created_at": "2026-11-22T10:00:00Z",
        "minimum_updater": 1, "rollout_percent": 100,
        "images": {"camera": {"reference": f"registry.example/visant/camera@sha256:{digest}", "bytes": 1}},
        "host": {"name": "visant-host-1.2.0.tar.gz", "sha256": digest, "bytes": 1},
    }  # fmt: skip
    return value | changes


def release(**changes: Any) -> Release:
    return parse(json.dumps(manifest(**changes)).encode())


def decide(offered: Release, good: Release | None, settings: Settings | None = None, **flags: Any) -> str | None:
    given = {"force": False, "by_hand": False, "quarantined": (), **flags}
    return reason_to_wait(offered, settings or Settings(device_id="PI"), good, given.pop("quarantined"), **given)


def test_a_newer_release_is_taken() -> None:
    assert decide(release(version="1.10.0"), release(version="1.9.0")) is None
    assert decide(release(), None) is None


def test_the_running_release_is_up_to_date_also_at_another_rollout_percentage() -> None:
    assert "up to date" in str(decide(release(rollout_percent=7), release()))


def test_other_content_under_the_running_version_is_refused_even_by_force() -> None:
    with pytest.raises(Refused, match="never reused"):
        decide(release(revision="other"), release(), force=True)


def test_an_older_release_is_refused_unless_pinned_or_forced() -> None:
    old, new = release(version="1.1.0"), release()
    with pytest.raises(Refused, match="older"):
        decide(old, new)
    assert decide(old, new, force=True) is None
    assert decide(old, new, Settings(device_id="PI", pin="1.1.0")) is None


def test_a_pin_of_the_clouds_leads_to_no_older_release_nor_to_one_in_quarantine() -> None:
    pinned = Settings(device_id="PI", pin="1.1.0", pinned_by_cloud=True)
    with pytest.raises(Refused, match="older"):
        decide(release(version="1.1.0"), release(), pinned)
    with pytest.raises(Refused, match=r"the cloud's pin=1\.1\.0"):
        decide(release(), None, pinned)
    offered, good = release(version="1.1.0"), release(version="1.0.0")
    assert decide(offered, good, pinned) is None
    assert "quarantine" in str(decide(offered, good, pinned, quarantined=["1.1.0"]))


def test_a_hold_takes_nothing_but_by_hand_by_force_or_where_nothing_runs() -> None:
    held, old = Settings(device_id="PI", held=True), release(version="1.1.0")
    assert "the cloud holds updates" in str(decide(release(), old, held))
    assert decide(release(), old, held, force=True) is None
    assert decide(release(), old, held, by_hand=True) is None
    assert decide(release(), None, held) is None


def test_a_pin_refuses_whatever_else_the_source_offers() -> None:
    with pytest.raises(Refused, match=r"UPDATE_PIN=1\.1\.0"):
        decide(release(), None, Settings(pin="1.1.0"))
    assert decide(release(), None, Settings(pin="1.1.0"), by_hand=True) is None


def test_a_quarantined_release_waits_for_force() -> None:
    assert "quarantine" in str(decide(release(), None, quarantined=("1.2.0",)))
    assert decide(release(), None, quarantined=("1.2.0",), force=True) is None


def test_a_rollout_grows_without_losing_a_device() -> None:
    devices = [f"PI-{number}" for number in range(400)]
    parts = [{one for one in devices if takes_part(one, "1.2.0", percent)} for percent in (0, 10, 50, 100)]
    assert parts[0] == set()
    assert parts[0] < parts[1] < parts[2] < parts[3] == set(devices)
    assert 150 < len(parts[2]) < 250
    assert [bucket(one, "1.2.0") for one in devices] != [bucket(one, "1.3.0") for one in devices]


def test_a_partial_rollout_needs_a_device_id() -> None:
    with pytest.raises(Misconfigured, match="DEVICE_ID"):
        takes_part("", "1.2.0", 50)


def some_device(percent: int, version: str = "1.2.0") -> tuple[str, str]:
    """(the last device that `percent` of the fleet takes in, the first one that it leaves out)."""
    devices = [f"PI-{number}" for number in range(2000)]
    inside = next(one for one in devices if bucket(one, version) == percent - 1)
    outside = next(one for one in devices if bucket(one, version) == percent)
    return inside, outside


def test_a_device_outside_of_the_rollout_waits_unless_a_person_asked_for_the_release() -> None:
    inside, outside = some_device(30)
    partly = release(rollout_percent=30)
    assert decide(partly, None, Settings(device_id=inside)) is None
    assert decide(partly, release(version="1.1.0"), Settings(device_id=inside)) is None
    assert "30 % of the fleet" in str(decide(partly, None, Settings(device_id=outside)))
    assert decide(partly, None, Settings(device_id=outside), force=True) is None
    assert decide(partly, None, Settings(device_id=outside), by_hand=True) is None
    assert decide(partly, None, Settings(device_id=outside, pin="1.2.0")) is None


def test_each_percent_is_a_hundredth_of_the_fleet() -> None:
    devices = [f"PI-{number}" for number in range(2000)]
    assert {bucket(one, "1.2.0") for one in devices} == set(range(100))
    for percent in (1, 50, 99):
        inside, outside = some_device(percent)
        assert takes_part(inside, "1.2.0", percent)
        assert not takes_part(outside, "1.2.0", percent)


def test_a_device_keeps_its_place_in_the_rollout_over_updates_of_the_updater() -> None:
    assert [bucket(f"PI-{number}", "1.2.0") for number in range(5)] == [48, 28, 44, 29, 89]


def test_the_whole_fleet_needs_no_device_id() -> None:
    assert takes_part("", "1.2.0", 100)
    with pytest.raises(Misconfigured, match="DEVICE_ID"):
        takes_part("", "1.2.0", 99)


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_pin_to_what_runs_is_up_to_date_and_a_pin_keeps_quarantine(by_hand: bool) -> None:
    pinned = Settings(device_id="PI", pin="1.2.0")
    assert "up to date" in str(decide(release(), release(), pinned, by_hand=by_hand))
    assert "quarantine" in str(decide(release(), None, pinned, quarantined=("1.2.0",), by_hand=by_hand))


def test_by_hand_goes_past_the_pin_and_not_back() -> None:
    with pytest.raises(Refused, match="older"):
        decide(release(version="1.1.0"), release(), by_hand=True)
    assert decide(release(), release(version="1.1.0"), Settings(pin="1.1.0"), by_hand=True) is None


def test_force_does_not_go_past_the_pin() -> None:
    with pytest.raises(Refused, match="UPDATE_PIN"):
        decide(release(), release(version="1.1.0"), Settings(pin="1.1.0"), force=True)


def test_the_newest_version_is_taken_where_another_one_is_in_quarantine() -> None:
    assert decide(release(), release(version="1.1.0"), quarantined=("1.1.1",)) is None


def test_versions_are_ordered_by_number_and_a_beta_comes_before_its_release() -> None:
    right = ["1.2.0-alpha", "1.2.0-beta.2", "1.2.0-beta.10", "1.2.0", "1.10.0", "2.0.0-1", "2.0.0"]
    assert sorted(reversed(right), key=order) == right


def test_the_order_of_versions_is_that_of_semver_org() -> None:
    """The chain that https://semver.org/#spec-item-11 gives as its example, and its rule on numbers."""
    chain = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"]
    chain += ["1.0.0-rc.1", "1.0.0", "1.0.1-9", "1.0.1-10", "1.0.1-1a", "1.0.1", "1.1.0", "2.0.0", "10.0.0"]
    assert sorted(reversed(chain), key=order) == chain
    assert order("1.2.3") == order("1.2.3")


@pytest.mark.parametrize(
    "text", ["0.0.0", "1.2.3", "10.20.30", "1.2.3-beta.1", "1.2.3-0", "1.2.3-1", "1.2.3-0a.b", "1.2.3-" + "x" * 58]
)
def test_text_that_is_a_version(text: str) -> None:
    assert is_version(text)


def test_a_version_is_at_most_64_characters_long_because_it_becomes_a_path() -> None:
    assert not is_version("1.2.3-" + "x" * 59)


def test_what_is_no_version_has_no_order() -> None:
    with pytest.raises(ValueError, match=r"'1\.2' is not a version"):
        order("1.2")


@pytest.mark.parametrize(
    "text",
    [
        *("", "1.2", "v1.2.0", "1.2.0/..", "../1.2.0", "1.2.0-", "1.2.0 ", "1.2.0\n", "x" * 99),
        # https://semver.org/#spec-item-2 and 9: they would be equal in order to a version of another path
        *("01.2.0", "1.02.0", "1.2.00", "1.2.0-01", "1.2.0-beta.02"),
    ],
)
def test_text_that_is_no_version_never_becomes_a_path(text: str) -> None:
    assert not is_version(text)
    with pytest.raises(Refused):
        release(version=text)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2"),
        ({"images": {}}, "images is missing or empty"),
        ({"images": {"camera": {"reference": "registry.example/camera:1.2.0", "bytes": 1}}}, "camera has no digest"),
        ({"images": {"../x": {}}}, "not a service name"),
        ({"host": None}, "host is missing"),
        ({"host": {"name": "../evil", "sha256": "0" * 64, "bytes": 1}}, "not a plain file name"),
        ({"host": {"name": "x", "sha256": "short", "bytes": 1}}, "not 64 hex digits"),
        ({"rollout_percent": 101}, "rollout_percent is 101"),
        ({"rollout_percent": True}, "rollout_percent is True"),
        ({"minimum_updater": 99}, "needs updater 99"),
        ({"allowed_signers": 5}, "allowed_signers is not text"),
        ({"archives": []}, "archives is not an object"),
    ],
)
def test_a_manifest_that_breaks_a_rule_names_the_key(change: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said.replace("(", r"\(")):
        release(**change)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b'"x"'])
def test_what_is_no_manifest_at_all_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        parse(raw)
