"""An outcome exists exactly when its file does."""

import errno
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from tests.support.not_none import not_none
from tests.unit.uploader.conftest import Make
from visant_contract.outcome import Reason
from visant_runtime import durable
from visant_uploader.counters import Counters
from visant_uploader.spool.figures import Contents, SpoolFull, count
from visant_uploader.spool.file_format import SpoolHeader, decode, encode
from visant_uploader.spool.layout import Destination, Folders, outcome_files
from visant_uploader.spool.lock import SpoolInUse
from visant_uploader.spool.store import Spool

HERE = Destination("cloud-1", "FLOOR1")


@pytest.fixture
def spool(make: type[Make], tmp_path: Path) -> Spool:
    one = make.spool(tmp_path / "spool")
    one.open()
    return one


def again(spool: Spool, make: type[Make]) -> Spool:
    """As after a restart."""
    spool.close()
    other = make.spool(spool.folders.root)
    other.open()
    return other


def find(spool: Spool, trigger_id: str = "t-1") -> str | None:
    return spool.find("cloud-1", "FLOOR1", trigger_id)


def test_a_folder_that_cannot_be_synced_leaves_no_outcome_behind(
    make: type[Make], spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(durable, "sync_folder", broken)
    with pytest.raises(OSError, match="Input/output"):
        spool.put(make.picture(), b"jpeg")
    assert find(spool) is None
    monkeypatch.undo()
    assert spool.put(make.picture(), b"jpeg") == find(spool)


def test_a_delivered_file_whose_folder_cannot_be_synced_is_counted_once(
    make: type[Make], spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = spool.put(make.picture(), b"jpeg")
    spool.release(HERE, name)

    def broken(folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("visant_uploader.spool.store.sync_folder", broken)
    with pytest.raises(OSError, match="Input/output"):
        spool.delivered(HERE, name)
    spool.delivered(HERE, name)
    assert spool.figures.contents().picture_bytes() == 0


@pytest.mark.parametrize("durably", [True, False])
def test_only_where_a_second_delivery_would_be_a_second_picture_is_the_folder_synced(
    make: type[Make], spool: Spool, monkeypatch: pytest.MonkeyPatch, durably: bool
) -> None:
    name = spool.put(make.picture(), b"jpeg")
    spool.release(HERE, name)
    synced: list[Path] = []
    monkeypatch.setattr("visant_uploader.spool.store.sync_folder", synced.append)
    spool.delivered(HERE, name, durably=durably)
    assert bool(synced) is durably
    assert spool.outbox(HERE) == []


def test_a_file_delivered_while_the_outbox_is_read_is_left_out(
    make: type[Make], spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for trigger in ("t-1", "t-2"):
        spool.release(HERE, spool.put(make.picture(trigger), b"jpeg"))

    def with_one_gone(folder: Path) -> Iterator[os.DirEntry[str]]:
        found = list(outcome_files(folder))
        os.unlink(found[0].path)
        return iter(found)

    monkeypatch.setattr("visant_uploader.spool.store.outcome_files", with_one_gone)
    assert len(spool.outbox(HERE)) == 1


def test_an_outcome_is_found_wherever_it_lies(make: type[Make], spool: Spool) -> None:
    assert find(spool) is None
    name = spool.put(make.picture(), b"jpeg")
    assert find(spool) == name
    assert spool.release(HERE, name) and find(spool) == name
    assert bytes(decode(spool.read(HERE, name)).body) == b"jpeg"
    spool.delivered(HERE, name)
    assert find(spool) is None


def test_delivery_does_not_see_it_before_its_command_is_acknowledged(make: type[Make], spool: Spool) -> None:
    name = spool.put(make.picture(), b"jpeg")
    assert spool.outbox(HERE) == []
    assert spool.unreleased() == [(HERE, name)]
    spool.release(HERE, name)
    assert [name for _, name in spool.outbox(HERE)] == [name]
    assert not spool.release(HERE, name)


def test_a_second_uploader_is_refused_while_the_first_lives(make: type[Make], spool: Spool) -> None:
    other = make.spool(spool.folders.root)
    with pytest.raises(SpoolInUse):
        other.open()
    spool.close()
    other.open()
    other.close()


def test_a_predecessor_may_take_its_time_to_end(
    make: type[Make], spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            spool.close()

    monkeypatch.setattr("visant_uploader.spool.lock.time.sleep", sleep)
    other = make.spool(spool.folders.root)
    other.open(patience=10.0)
    assert len(waits) == 3


def test_drafts_of_a_power_cut_are_swept_away(make: type[Make], spool: Spool) -> None:
    (spool.folders.draft / "x.picture").write_bytes(b"half")
    spool = again(spool, make)
    assert list(spool.folders.draft.iterdir()) == []


def test_the_counts_after_a_restart_are_the_counts_before_it(make: type[Make], spool: Spool) -> None:
    for number in range(5):
        name = spool.put(make.picture(f"t-{number}"), b"x" * 1000)
        if number % 2:
            spool.release(HERE, name)
    spool.put(make.report("t-9"))
    before = spool.figures.contents()
    assert again(spool, make).figures.contents() == before
    unacknowledged = spool.folders.unacknowledged
    assert before.pictures[unacknowledged] == 3 and before.reports[unacknowledged] == 1


def test_a_full_spool_refuses_pictures_and_takes_reports(make: type[Make], tmp_path: Path) -> None:
    spool = make.spool(tmp_path / "s", max_bytes=5000)
    spool.open()
    first = spool.put(make.picture("t-1"), b"x" * 2000)
    with pytest.raises(SpoolFull, match="SPOOL_MAX_BYTES"):
        spool.put(make.picture("t-2"), b"x" * 2000)
    spool.put(make.report("t-2", Reason.SPOOL_FULL))
    spool.release(HERE, first)
    with pytest.raises(SpoolFull):
        spool.put(make.picture("t-3"), b"x" * 2000)
    spool.delivered(HERE, first)
    spool.put(make.picture("t-3"), b"x" * 2000)


def test_refused_pictures_count_against_the_limit_too(make: type[Make], tmp_path: Path) -> None:
    spool = make.spool(tmp_path / "s", max_bytes=5000)
    spool.open()
    name = spool.put(make.picture("t-1"), b"x" * 2000)
    spool.release(HERE, name)
    spool.refuse(HERE, name, make.report("t-1", Reason.REJECTED_413))
    with pytest.raises(SpoolFull):
        spool.put(make.picture("t-2"), b"x" * 2000)


def test_the_disks_free_space_is_left_to_reports(make: type[Make], tmp_path: Path) -> None:
    free = 10_000
    spool = make.spool(tmp_path / "s", min_free_bytes=9_000, free_bytes=lambda _: free)
    spool.open()
    with pytest.raises(SpoolFull, match="SPOOL_MIN_FREE_BYTES"):
        spool.put(make.picture(), b"x" * 2000)
    spool.put(make.report("t-2"))
    free = 100_000
    spool.put(make.picture(), b"x" * 2000)


def test_a_truly_full_disk_is_a_full_spool_and_leaves_nothing_half_written(
    make: type[Make], spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SpoolFull):
        spool.put(make.picture(), b"jpeg")
    monkeypatch.undo()
    assert list(spool.folders.draft.iterdir()) == [] and find(spool) is None
    assert spool.put(make.picture(), b"jpeg")


def test_a_report_on_a_full_disk_takes_the_reserve_once(
    make: type[Make], spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = spool.folders.root / "reserve"
    assert reserve.stat().st_blocks * 512 >= 1 << 20
    real = os.write

    def full_while_reserved(handle: int, data: bytes) -> int:
        if reserve.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr(os, "write", full_while_reserved)
    assert spool.put(make.report())
    assert not reserve.exists()
    monkeypatch.undo()
    spool.restore_reserve()
    assert reserve.exists()


def test_an_outcome_that_cannot_be_written_is_an_error_and_no_outcome(
    make: type[Make], spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        spool.put(make.report())
    monkeypatch.undo()
    assert find(spool) is None


def released(spool: Spool, header: SpoolHeader, body: bytes = b"jpeg") -> str:
    name = spool.put(header, body)
    assert spool.release(HERE, name)
    return name


def test_a_refused_picture_goes_to_dead_letter_and_its_report_to_the_outbox(make: type[Make], spool: Spool) -> None:
    name = released(spool, make.picture())
    report = spool.refuse(HERE, name, make.report(reason=Reason.REJECTED_422))
    assert [n for _, n in spool.outbox(HERE)] == [report]
    assert (spool.folders.dead_letter / name).exists()
    assert again(spool, make).figures.contents() == spool.figures.contents()


def test_a_crash_between_report_and_move_is_finished_at_the_start(make: type[Make], spool: Spool) -> None:
    cases = ((Reason.REJECTED_400, "dead_letter"), (Reason.SPOOL_CORRUPT, "quarantine"))
    for number, (reason, folder) in enumerate(cases):
        picture = released(spool, make.picture(f"t-{number}"))
        report = released(spool, make.report(f"t-{number}", reason), b"")
        spool = again(spool, make)
        assert (getattr(spool.folders, folder) / picture).exists()
        assert report in [n for _, n in spool.outbox(HERE)] and picture not in [n for _, n in spool.outbox(HERE)]


def test_a_damaged_file_whose_name_is_known_goes_to_quarantine_with_a_report(make: type[Make], spool: Spool) -> None:
    name = released(spool, make.picture())
    report = spool.quarantine(HERE, name, make.report(reason=Reason.SPOOL_CORRUPT))
    assert (spool.folders.quarantine / name).exists() and [n for _, n in spool.outbox(HERE)] == [report]


def test_a_damaged_report_is_replaced_by_a_report(make: type[Make], spool: Spool) -> None:
    name = released(spool, make.report(), b"")
    assert spool.quarantine(HERE, name, make.report(reason=Reason.SPOOL_CORRUPT)) == name
    assert [n for _, n in spool.outbox(HERE)] == [name]
    assert not_none(decode(spool.read(HERE, name)).header.report).reason == Reason.SPOOL_CORRUPT


def test_a_file_that_names_nobody_counts_as_no_outcome(make: type[Make], spool: Spool) -> None:
    name = released(spool, make.picture())
    assert spool.quarantine(HERE, name, None) is None
    assert find(spool) is None
    assert spool.figures.contents().pictures[spool.folders.quarantine] == 1


def test_an_unreadable_file_left_unacknowledged_lets_its_command_run_again(make: type[Make], spool: Spool) -> None:
    name = spool.put(make.picture(), b"jpeg")
    (spool.folders.unacknowledged / name).write_bytes(b"")
    spool = again(spool, make)
    assert spool.unreleased() == []
    assert find(spool) is None
    assert len(list(spool.folders.quarantine.iterdir())) == 1


def test_another_clouds_outcomes_lie_apart(make: type[Make], spool: Spool) -> None:
    other = Destination("cloud-2", "FLOOR1")
    header = make.picture(cloud_id="cloud-2")
    spool.release(other, spool.put(header, b"jpeg"))
    assert spool.outbox(HERE) == []
    assert len(spool.outbox(other)) == 1
    assert find(spool) is None


def test_what_a_technician_puts_back_replaces_the_report_of_its_failure(make: type[Make], spool: Spool) -> None:
    name = released(spool, make.picture())
    spool.refuse(HERE, name, make.report(reason=Reason.REJECTED_413))
    (spool.folders.dead_letter / name).rename(spool.folders.incoming / name)
    assert find(spool) is not None
    assert spool.collect_incoming() == [(HERE, name)]
    assert [n for _, n in spool.outbox(HERE)] == [name]


def test_a_report_never_replaces_a_picture(make: type[Make], spool: Spool) -> None:
    picture = released(spool, make.picture())
    header, pieces = encode(make.report())
    (spool.folders.incoming / header.file_name()).write_bytes(b"".join(pieces))
    assert spool.collect_incoming() == []
    assert [n for _, n in spool.outbox(HERE)] == [picture]


def test_damaged_files_put_back_go_to_quarantine_and_are_counted(make: type[Make], tmp_path: Path) -> None:
    counters = Counters()
    spool = make.spool(tmp_path / "s", counters=counters)
    spool.open()
    (spool.folders.incoming / "abc.picture").write_bytes(b"nonsense")
    assert spool.collect_incoming() == []
    assert spool.figures.contents().pictures[spool.folders.quarantine] == 1
    assert counters.sums()["spool_damaged"] == 1


@pytest.mark.parametrize("step", ["release", "deliver", "refuse", "set aside"])
def test_what_moves_while_all_is_counted_is_counted_once(
    make: type[Make], spool: Spool, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    name = released(spool, make.picture())
    other = spool.put(make.picture("t-2"), b"jpeg")
    move = {
        "release": lambda: spool.release(HERE, other),
        "deliver": lambda: spool.delivered(HERE, name),
        "refuse": lambda: spool.refuse(HERE, name, make.report(reason=Reason.REJECTED_422)),
        "set aside": lambda: spool.refuse(HERE, name, None),
    }[step]
    with ThreadPoolExecutor() as threads:

        def counted_meanwhile(folders: Folders) -> Contents:
            counted = count(folders)
            moving: list[Future[Any]] = [threads.submit(move), threads.submit(spool.put, make.picture("t-3"), b"jpeg")]
            wait(moving, timeout=0.5)
            return counted

        monkeypatch.setattr("visant_uploader.spool.figures.count", counted_meanwhile)
        spool.figures.recount(beside_puts=True)
    assert spool.figures.contents() == count(spool.folders)


def test_delivering_what_is_gone_is_no_error(make: type[Make], spool: Spool) -> None:
    name = released(spool, make.picture())
    spool.delivered(HERE, name)
    spool.delivered(HERE, name)
    assert spool.figures.contents().picture_bytes() == 0


def test_what_waits_for_the_plain_cloud_waits_for_its_successor_in_the_order_in_which_it_came(
    make: type[Make], tmp_path: Path
) -> None:
    plain, ours = Destination("http://cloud", "FLOOR1"), Destination("cloud-1", "FLOOR1")
    spool = make.spool(tmp_path)
    spool.open()
    assert spool.succeed(plain, ours) == []
    headers = [make.picture("t-1", cloud_id="http://cloud", plain=True), make.report("t-2", cloud_id="http://cloud")]
    for number, header in enumerate(headers):
        name = spool.put(header, b"jpeg" if header.kind == "picture" else b"")
        os.utime(spool.folders.unacknowledged / name, (number, number))
        spool.release(plain, name)
    names = [header.file_name() for header in headers]
    moved = [(number * 10**9, name) for number, name in enumerate(names)]
    assert sorted(spool.succeed(plain, ours)) == moved
    assert spool.succeed(plain, ours) == []
    assert sorted(spool.outbox(ours)) == moved
    assert spool.outbox(plain) == []
    health = spool.health(ours, None)
    assert (health.pictures, health.reports, health.held) == (1, 1, 0)
    assert spool.find("http://cloud", "FLOOR1", "t-1") is None
    assert spool.find("http://cloud", "FLOOR1", "t-1", place=ours) == names[0]
