from hypothesis import given
from hypothesis import strategies as st

from visant_contract.capture import TRIGGER_LABEL_MAX, trigger_label
from visant_contract.ids import trigger_key, valid_device_id
from visant_contract.outcome import REMEDY, OutcomeReport, Reason, rejected_reason
from visant_contract.snapshot import SNAPSHOT_REASONS


def test_every_reason_has_a_remedy() -> None:
    assert set(REMEDY) == set(Reason)
    assert all(len(text) > 20 for text in REMEDY.values())


def test_a_reason_of_a_newer_device_is_kept() -> None:
    report = OutcomeReport.model_validate({"status": "failed", "reason": "eaten_by_a_bear"})
    assert report.reason == "eaten_by_a_bear"
    assert OutcomeReport.model_validate_json(report.model_dump_json()) == report
    assert isinstance(OutcomeReport(status="failed", reason="spool_full").reason, Reason)


def test_the_statuses_that_refuse_an_item_have_reasons() -> None:
    assert [rejected_reason(status).value for status in (400, 413, 415, 422)] == [
        "rejected_400",
        "rejected_413",
        "rejected_415",
        "rejected_422",
    ]
    assert set(SNAPSHOT_REASONS) < set(Reason)


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_a_trigger_of_a_cloud_has_one_file_name(cloud: str, trigger: str, other_cloud: str, other: str) -> None:
    key = trigger_key(cloud, trigger)
    assert len(key) == 64
    assert set(key) <= set("0123456789abcdef")
    if "\0" not in cloud + other_cloud and (cloud, trigger) != (other_cloud, other):
        assert key != trigger_key(other_cloud, other)


def test_a_label_fits_a_plain_cloud() -> None:
    assert trigger_label("manual", "manual_FLOOR1_1") == "manual_manual_FLOOR1_1"
    assert len(trigger_label("scheduled", "x" * 300)) == TRIGGER_LABEL_MAX


def test_a_device_id_cannot_leave_its_folder_or_path() -> None:
    assert valid_device_id("FLOOR1")
    for wrong in ("", ".", "..", "a/b", "a b", "ä", "x" * 65, "-x", "a\n"):
        assert not valid_device_id(wrong), wrong
