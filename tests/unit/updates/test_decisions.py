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


def test_versions_are_ordered_by_number_and_a_beta_comes_before_its_release() -> None:
    right = ["1.2.0-alpha", "1.2.0-beta.2", "1.2.0-beta.10", "1.2.0", "1.10.0", "2.0.0-1", "2.0.0"]
    assert sorted(reversed(right), key=order) == right


@pytest.mark.parametrize("text", ["", "1.2", "v1.2.0", "1.2.0/..", "../1.2.0", "1.2.0-", "1.2.0 ", "1.2.0\n", "x" * 99])
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
