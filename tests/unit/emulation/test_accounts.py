"""The ledger notices what it is there to notice; a suite that reports zeros must be able to report others."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import Image

from emulation.accounts import Account, Posted, account
from emulation.cloud_api import TriggerRow
from emulation.stamps import read_stamp

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BEGAN = 1000.0


def picture(exposed_at: float | None) -> bytes:
    out = io.BytesIO()
    comment = b"" if exposed_at is None else b"seq=7;t=%d;wall=2026-11-22T12:00:00" % round(exposed_at * 1e9)
    Image.new("RGB", (32, 32)).save(out, "JPEG", comment=comment)
    return out.getvalue()


class FakeCloud:
    """Answers as CloudApi does, from what a test puts in."""

    def __init__(self) -> None:
        self.rows: dict[str, TriggerRow] = {}
        self.records: list[dict[str, Any]] = []
        self.pictures: dict[str, bytes] = {}

    def ended(self, trigger: str, status: str, *, reason: str | None = None, final: bool = True) -> None:
        stored = NOON + timedelta(seconds=0.25) if status == "executed" else None
        record = f"record of {trigger}" if status == "executed" else None
        self.rows[trigger] = TriggerRow(trigger, status, reason, NOON, stored, stored, record, final)

    def captured(self, trigger: str, jpeg: bytes, times: int = 1) -> None:
        self.ended(trigger, "executed")
        self.records += [{"trigger_id": trigger}] * times
        self.pictures[f"record of {trigger}"] = jpeg

    async def triggers(self, device_id: str) -> dict[str, TriggerRow]:
        return self.rows

    async def captures(self, device_id: str) -> list[dict[str, Any]]:
        return self.records

    async def picture(self, record_id: str) -> bytes:
        return self.pictures[record_id]


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud()


async def of(cloud: FakeCloud, *triggers: str) -> Account:
    return await account(cloud, "A", [Posted(one, BEGAN, BEGAN + 0.1) for one in triggers])  # type: ignore[arg-type]


async def test_a_fresh_whole_picture_is_captured_and_good(cloud: FakeCloud) -> None:
    cloud.captured("a", picture(BEGAN + 0.01))
    found = await of(cloud, "a")
    assert found.good and (found.captured, found.triggers) == (1, 1)
    assert found.percentile_ms(0.5) == 250.0


async def test_a_trigger_that_the_cloud_forgot_is_unaccounted(cloud: FakeCloud) -> None:
    found = await of(cloud, "a")
    assert found.unaccounted == ["a"] and not found.good


@pytest.mark.parametrize("status", ["pending", "sent", "expired"])
async def test_a_trigger_without_a_final_word_is_unaccounted(cloud: FakeCloud, status: str) -> None:
    cloud.ended("a", status, final=False)
    found = await of(cloud, "a")
    assert found.unaccounted == ["a"] and found.expired == 0


async def test_a_second_stored_capture_is_a_duplicate(cloud: FakeCloud) -> None:
    cloud.captured("a", picture(BEGAN + 0.01), times=3)
    found = await of(cloud, "a")
    assert found.duplicates == 2 and not found.good


async def test_a_picture_exposed_before_its_trigger_is_stale(cloud: FakeCloud) -> None:
    cloud.captured("a", picture(BEGAN - 0.001))
    found = await of(cloud, "a")
    assert found.stale == 1 and not found.good


@pytest.mark.parametrize("jpeg", [b"", b"<html>", picture(BEGAN + 1)[:-200]])
async def test_a_picture_that_does_not_decode_is_broken(cloud: FakeCloud, jpeg: bytes) -> None:
    cloud.captured("a", jpeg)
    found = await of(cloud, "a")
    assert found.broken == 1 and not found.good


async def test_reasons_are_counted(cloud: FakeCloud) -> None:
    cloud.ended("a", "failed", reason="spool_full")
    cloud.ended("b", "expired", reason="deadline_passed")
    found = await of(cloud, "a", "b")
    assert (found.failed, found.expired) == (1, 1)
    assert dict(found.reasons) == {"spool_full": 1, "deadline_passed": 1}
    assert found.good


def test_a_picture_of_another_camera_has_no_stamp() -> None:
    assert read_stamp(picture(None)) is None
    stamp = read_stamp(picture(12.5))
    assert stamp is not None
    assert (stamp.sequence, stamp.exposed_at) == (7, 12.5)


def test_percentiles_are_values_that_occurred() -> None:
    found = Account(latencies=[0.1, 0.2, 0.3, 0.4])
    assert (found.percentile_ms(0.5), found.percentile_ms(0.99)) == (200.0, 400.0)
    assert Account().percentile_ms(0.5) is None


def test_each_promise_that_was_not_kept_is_one_counted_line() -> None:
    assert Account(triggers=3, captured=3).broken_promises() == []
    found = Account(triggers=4, captured=2, unaccounted=["a", "b"], duplicates=1, stale=2, broken=0)
    assert found.broken_promises() == ["PROMISE BROKEN: 2 lost", "PROMISE BROKEN: 1 doubled", "PROMISE BROKEN: 2 stale"]
