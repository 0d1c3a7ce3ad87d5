"""Where the time went on the device, as it is told beside the outcome."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from tests.unit.uploader.conftest import Make
from visant_contract.outcome import Reason
from visant_contract.stages import STAGES, read_stages
from visant_uploader.spool.file_format import SpoolHeader, decode, encode
from visant_uploader.stages import stages_of
from visant_uploader.timestamps import Offset


def test_steps_of_one_boot_are_exact_to_each_other_however_wrong_the_clock_is(make: type[Make]) -> None:
    in_1970 = datetime(1970, 1, 1, tzinfo=UTC)
    header = make.picture(
        time=make.time(boottime=990.0, wall=in_1970, synchronised=False),
        # its wall clock was stepped between: it does not count, both lie in one boot
        earlier={
            "admitted": make.time(boottime=980.0, wall=in_1970 - timedelta(days=9)),
            "camera_asked": make.time(boottime=985.5),
        },
    )
    told = stages_of(header, 991.0, None, make.moment(1000.0, wall=in_1970, synchronised=False))
    assert list(told) == ["admitted", "camera_asked", "exposed", "spooled", "upload_began"]
    times = [stage.at for stage in told.values()]
    assert [(b - a).total_seconds() for a, b in pairwise(times)] == [5.5, 4.5, 1.0, 9.0]
    assert {(stage.uncertainty, stage.boot_id) for stage in told.values()} == {(None, "boot-1")}


def test_the_clouds_clock_dates_them_all(make: type[Make]) -> None:
    truth = make.noon + timedelta(days=1)
    offset = Offset("boot-1", truth.timestamp() - 990.0)
    header = make.picture(earlier={"admitted": make.time(boottime=980.0)})
    told = stages_of(header, None, offset, make.moment(1000.0))
    assert "spooled" not in told, "the process that wrote the file is gone, and so is what it knew"
    assert abs(told["admitted"].at - (truth - timedelta(seconds=10))) < timedelta(milliseconds=1)
    assert told["exposed"].at - told["admitted"].at == timedelta(seconds=10)


def test_a_step_of_an_earlier_boot_keeps_its_own_clock(make: type[Make]) -> None:
    before = make.time(boot_id="boot-0", boottime=50_000.0, wall=make.noon - timedelta(hours=1), synchronised=False)
    header = make.picture(earlier={"admitted": before})
    told = stages_of(header, None, None, make.moment(20.0, boot_id="boot-2", wall=make.noon + timedelta(days=3)))
    assert told["admitted"].at == make.noon - timedelta(hours=1) and told["admitted"].uncertainty is None
    assert told["exposed"].at == make.noon and told["exposed"].uncertainty is not None
    assert told["upload_began"].at == make.noon + timedelta(days=3)
    assert [stage.boot_id for stage in told.values()] == ["boot-0", "boot-1", "boot-2"]


def test_a_report_says_when_it_was_decided_and_what_was_done_before(make: type[Make]) -> None:
    header = make.report(reason=Reason.CAMERA_ABSENT, earlier={"camera_asked": make.time(boottime=975.0)})
    told = stages_of(header, 990.5, None, make.moment(1000.0))
    assert list(told) == ["camera_asked", "decided", "spooled", "upload_began"]
    assert told["decided"].at - told["camera_asked"].at == timedelta(seconds=15)


def test_nonsense_of_a_clock_costs_a_step_and_not_the_outcome(make: type[Make]) -> None:
    header = make.picture(time=make.time(wall=datetime.max.replace(tzinfo=UTC)))
    told = stages_of(header, None, None, make.moment(1000.0))
    assert "exposed" in told and "upload_began" not in told


def test_what_is_told_is_what_the_cloud_reads_in_the_order_of_the_road(make: type[Make]) -> None:
    header = make.picture(earlier={"camera_asked": make.time(boottime=985.0), "admitted": make.time(boottime=980.0)})
    told = stages_of(header, 991.0, None, make.moment(1000.0))
    metadata = {"stages": {name: stage.model_dump(mode="json") for name, stage in reversed(told.items())}}
    read = read_stages(metadata)
    assert read == told and list(read) == [name for name in STAGES if name in told]
    metadata["stages"]["exposed"] = {"at": "yesterday"}
    assert list(read_stages(metadata)) == ["admitted", "camera_asked", "spooled", "upload_began"]
    assert read_stages({"stages": ["admitted"]}) == {} == read_stages({})


def test_a_file_of_the_release_before_is_read_and_that_release_reads_ours(make: type[Make]) -> None:
    new = make.picture(earlier={"admitted": make.time()})
    assert decode(b"".join(encode(new, b"jpeg")[1])).header.earlier == new.earlier
    old = make.picture().model_dump(exclude={"earlier"}, mode="json")
    assert SpoolHeader.model_validate(old).earlier == {}
    assert SpoolHeader.model_config["extra"] == "ignore", "as the release before had it: it passes over `earlier`"
