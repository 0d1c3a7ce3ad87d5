"""What the field does to it, and what the cloud is told."""

import json
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.fakes.fake_camera import FakeCamera, boottime
from tests.fakes.fake_cloud import FakeCloud, page, problem
from tests.fakes.fake_http_server import Answer, Request, Script
from tests.support.redis import RedisServer
from tests.support.uploader_process import Device, until
from visant_contract.capture import CaptureTime
from visant_uploader.spool.file_format import SpoolHeader, encode
from visant_uploader.spool.layout import Destination


def held(hold: threading.Event) -> Script:
    """A script under which every request waits until `hold` is set."""

    def script(request: Request) -> Answer | None:
        hold.wait(60)
        return None

    return script


def uploads(answer: Answer) -> Script:
    """A script that answers every picture so."""

    def script(request: Request) -> Answer | None:
        return answer if request.path == "/v1/captures" else None

    return script


def delivered(cloud: FakeCloud, trigger_id: str) -> Callable[[], bool]:
    """A condition for `until`."""
    return lambda: trigger_id in cloud.captures()


def test_a_dead_uplink_never_delays_a_picture(device: Device, camera: FakeCamera, cloud: FakeCloud) -> None:
    hold = threading.Event()
    cloud.script = held(hold)
    device.confirm_stream()
    device.start(UPLOAD_TIMEOUT="60")
    for number in range(10):
        device.admit(f"t-{number}")
    until(lambda: camera.served == 10 and device.queue_length() == 0)
    assert cloud.captures() == []
    hold.set()
    until(lambda: len(cloud.captures()) == 10)


def test_uploads_that_hang_on_a_dead_network_do_not_hold_up_the_next_stream(device: Device, cloud: FakeCloud) -> None:
    hold = threading.Event()
    hanging: list[str] = []

    def first_two_hang(request: Request) -> Answer | None:
        if request.path == "/v1/captures" and len(hanging) < 2:
            hanging.append(request.path)
            hold.wait(120)
            return Answer(drop=True)
        return None

    cloud.script = first_two_hang
    device.confirm_stream()
    device.start(UPLOAD_TIMEOUT="110")
    device.admit("t-1")
    device.admit("t-2")
    until(lambda: len(hanging) == 2)
    device.admit("t-3")
    device.confirm_stream()
    until(lambda: cloud.captures() == ["t-3"])
    hold.set()
    until(lambda: sorted(cloud.captures()) == ["t-1", "t-2", "t-3"])


def test_a_lost_receipt_ends_in_one_record(device: Device, cloud: FakeCloud) -> None:
    cloud.receipts_lost = 2
    device.confirm_stream()
    device.start()
    device.admit("t-1")
    until(lambda: cloud.captures() == ["t-1"] and device.files() == [])
    assert cloud.receipts_lost == 0


def test_a_captive_portal_that_says_yes_to_everything_gets_no_picture_deleted(device: Device, cloud: FakeCloud) -> None:
    cloud.script = lambda request: Answer(200, b"<html>please log in</html>")
    device.confirm_stream()
    device.start()
    device.admit("t-1")
    until(lambda: [path for _, path in cloud.requests].count("/v1/captures") >= 1)
    until(lambda: "no receipt" in device.log())
    assert len(device.files("outbox")) == 1
    cloud.script = None
    device.confirm_stream()
    until(lambda: cloud.captures() == ["t-1"])


def test_a_server_error_makes_one_item_wait_and_the_others_pass(device: Device, cloud: FakeCloud) -> None:
    def first_is_bad(request: Request) -> Answer | None:
        bad = request.path == "/v1/captures" and b'"t-bad"' in request.body
        return Answer(500) if bad else None

    cloud.script = first_is_bad
    device.confirm_stream()
    device.start()
    device.admit("t-bad")
    until(lambda: "HTTP 500" in device.log())
    for number in range(5):
        device.admit(f"t-{number}")
    until(lambda: len(cloud.captures()) == 5)
    cloud.script = None
    device.confirm_stream()
    until(lambda: "t-bad" in cloud.captures())


def test_retry_after_is_obeyed_while_streams_are_confirmed_again_and_again(device: Device, cloud: FakeCloud) -> None:
    cloud.script = uploads(Answer(429, b"{}", {"Retry-After": "15"}))
    device.confirm_stream()
    device.start()
    device.admit("t-1")
    until(lambda: "delivery waits" in device.log())
    told = time.monotonic()
    cloud.script = None
    assert "degraded: cloud" in device.run("health").stdout
    while time.monotonic() < told + 13:
        device.confirm_stream()
        time.sleep(1)
        assert [path for _, path in cloud.requests].count("/v1/captures") == 1
    until(lambda: cloud.captures() == ["t-1"])


def test_a_revoked_token_pauses_delivery_and_its_return_loses_nothing(device: Device, cloud: FakeCloud) -> None:
    cloud.script = lambda request: problem(401, "bad token")
    device.confirm_stream()
    device.start()
    for number in range(5):
        device.admit(f"t-{number}")
    until(lambda: len(device.files("outbox")) == 5 and "delivery waits" in device.log())
    tried = [path for _, path in cloud.requests].count("/v1/captures")
    assert tried <= 3  # two side by side, and one more before the second was answered
    cloud.script = None
    device.confirm_stream()
    until(lambda: len(cloud.captures()) == 5)


def test_a_refused_picture_is_kept_reported_and_can_be_sent_again(device: Device, cloud: FakeCloud) -> None:
    cloud.script = uploads(problem(413, "too large"))
    device.confirm_stream()
    device.start()
    device.admit("t-1")
    until(lambda: cloud.reports("t-1") == [("failed", "rejected_413")])
    assert len(device.files("dead-letter")) == 1
    cloud.script = None
    asked = device.run("spool", "requeue", "t-1")
    assert asked.returncode == 0, asked.stderr
    until(lambda: cloud.captures() == ["t-1"] and device.files() == [])


def test_a_proxy_that_refuses_everything_for_a_while_costs_no_picture_and_no_report(
    device: Device, camera: FakeCamera, cloud: FakeCloud
) -> None:
    hold = threading.Event()
    struck: list[str] = []

    def proxy(request: Request) -> Answer | None:
        hold.wait(60)
        struck.append(request.path)
        return page(400)

    cloud.script = proxy
    device.confirm_stream()
    device.start(TELEMETRY_INTERVAL="5")
    for number in range(30):
        device.admit(f"t-{number}")
    device.admit("t-odd", kind="unknown", cmd="dance")
    until(lambda: len(device.files("outbox")) == 31)
    hold.set()
    began = time.monotonic()
    until(lambda: len(struck) >= 6)
    assert time.monotonic() - began > 1  # probes that go apart, and each with another item
    assert device.files("dead-letter") == [] and len(device.files("outbox")) == 31
    cloud.script = None
    until(lambda: len(cloud.captures()) == 30 and cloud.reports("t-odd") == [("failed", "unknown_command")])
    until(lambda: device.files() == [])
    assert "given up" not in device.log()


@pytest.mark.parametrize("status", [403, 404, 413])
def test_a_firewall_that_refuses_one_picture_holds_up_no_other(device: Device, cloud: FakeCloud, status: int) -> None:
    bad: list[float] = []

    def firewall(request: Request) -> Answer | None:
        if request.path != "/v1/captures" or b'"t-bad"' not in request.body:
            return None
        bad.append(time.monotonic())
        return page(status)

    cloud.script = firewall
    device.confirm_stream()
    device.start()
    device.admit("t-bad")
    until(lambda: len(bad) >= 2)
    for number in range(10):
        device.admit(f"t-{number}")
        until(delivered(cloud, f"t-{number}"), seconds=30)
    until(lambda: "degraded: refused" in device.run("health").stdout)
    assert "delivery waits" not in device.log()
    until(lambda: len(device.files("outbox")) == 1)
    assert device.files("dead-letter") == []
    cloud.script = None
    device.confirm_stream()
    until(lambda: "t-bad" in cloud.captures() and device.files() == [])
    until(lambda: json.loads((device.spool / "refused.json").read_text()) == {})


def test_an_upload_that_is_broken_off_each_time_holds_up_no_other(device: Device, cloud: FakeCloud) -> None:
    def middlebox(request: Request) -> Answer | None:
        bad = request.path == "/v1/captures" and b'"t-bad"' in request.body
        return Answer(drop=True) if bad else None

    cloud.script = middlebox
    device.confirm_stream()
    device.start()
    device.admit("t-bad")
    until(lambda: "delivery waits" in device.log())
    for number in range(6):
        device.admit(f"t-{number}")
        until(delivered(cloud, f"t-{number}"), seconds=30)
    until(lambda: "not delivered, tried again later" in device.log())  # its own matter by now
    waits = device.log().count("delivery waits")
    until(lambda: device.log().count("not delivered, tried again later") >= 3)
    assert device.log().count("delivery waits") == waits
    cloud.script = None
    device.confirm_stream()
    until(lambda: "t-bad" in cloud.captures() and device.files() == [])


def test_reports_that_the_cloud_rejects_are_kept_and_hold_up_no_picture(
    device: Device, camera: FakeCamera, cloud: FakeCloud
) -> None:
    asked: list[str] = []

    def no_outcomes(request: Request) -> Answer | None:
        if not request.path.endswith("/outcome"):
            return None
        asked.append(request.path)
        return problem(422)

    cloud.script = no_outcomes
    camera.trouble = "camera_absent"
    device.confirm_stream()
    device.start(CAPTURE_PATIENCE="0.5")
    for number in range(3):
        device.admit(f"t-without-{number}")
    until(lambda: len(set(asked)) == 3)
    camera.trouble = None
    device.admit("t-0")
    until(delivered(cloud, "t-0"))
    before = len(asked)
    until(lambda: len(set(asked[before:])) == 3)  # each was refused again, and something had passed in between
    waits = device.log().count("delivery waits")
    for number in range(1, 6):
        device.admit(f"t-{number}")
        until(delivered(cloud, f"t-{number}"), seconds=30)
    assert device.log().count("delivery waits") == waits
    until(lambda: len(device.files("outbox")) == 3)
    assert device.files("dead-letter") == []
    cloud.script = None
    device.confirm_stream()
    until(lambda: all(cloud.reports(f"t-without-{number}") for number in range(3)) and device.files() == [])


def test_refused_for_a_day_while_others_pass_it_is_reported_and_delivered_later_all_the_same(
    device: Device, cloud: FakeCloud
) -> None:
    def firewall(request: Request) -> Answer | None:
        bad = request.path == "/v1/captures" and b'"t-bad"' in request.body
        return page(403) if bad else None

    cloud.script = firewall
    device.confirm_stream()
    device.start()
    device.admit("t-bad")
    kept = device.spool / "refused.json"
    until(lambda: "refused, tried again later" in device.log())
    assert not kept.exists()  # nothing passed yet
    device.admit("t-passes")
    until(kept.exists)
    device.terminate()
    records = json.loads(kept.read_text())
    (name,) = records
    records[name]["passed_over"] = 86_399.9  # a day of this cannot be waited for
    kept.write_text(json.dumps(records))
    device.start()
    for number in range(20):
        device.admit(f"t-{number}")
        until(delivered(cloud, f"t-{number}"))
        if cloud.reports("t-bad"):
            break
    until(lambda: cloud.reports("t-bad") == [("failed", "refused_on_the_way")])
    assert "403" in cloud.outcomes["t-bad"][0]["detail"]
    assert len(device.files("dead-letter")) == 1
    cloud.script = None
    assert device.run("spool", "requeue", "t-bad").returncode == 0
    until(lambda: "t-bad" in cloud.captures() and device.files() == [])


def test_without_a_witness_nothing_is_rejected_and_telemetry_is_one(device: Device, cloud: FakeCloud) -> None:
    well = threading.Event()
    asked: list[str] = []

    def refusing(request: Request) -> Answer | None:
        asked.append(request.path)
        if request.path == "/v1/captures":
            return problem(400)
        return None if well.is_set() else page(502)

    cloud.script = refusing
    device.confirm_stream()
    device.start()
    device.admit("t-1")
    until(lambda: asked.count("/v1/captures") >= 4)
    assert device.files("dead-letter") == [] and cloud.outcomes == {}
    well.set()
    until(lambda: cloud.reports("t-1") == [("failed", "rejected_400")])
    assert cloud.telemetry and len(device.files("dead-letter")) == 1


def test_a_plain_cloud_is_asked_for_telemetry_once_and_ours_again(device: Device, cloud: FakeCloud) -> None:
    cloud.plain = True
    device.confirm_stream(plain=True)
    device.start(TELEMETRY_INTERVAL="5")
    until(lambda: "takes no telemetry" in device.log())
    before = time.monotonic()
    device.confirm_stream(plain=True)
    until(lambda: time.monotonic() - before > 12)
    assert [path for _, path in cloud.requests if path.endswith("/telemetry")] == ["/v1/devices/FLOOR1/telemetry"]
    cloud.plain = False
    device.cloud_id = "cloud-2"
    device.confirm_stream()
    until(lambda: cloud.telemetry)


def test_a_plain_cloud_gets_pictures_and_reports_to_it_are_dropped(
    device: Device, camera: FakeCamera, cloud: FakeCloud
) -> None:
    cloud.plain = True
    device.cloud_id = device.api_url
    camera.trouble = "camera_absent"
    device.confirm_stream(plain=True, clock_offset=None)
    device.start(CAPTURE_PATIENCE="0.5")
    device.admit("t-1", plain=True)
    until(lambda: device.queue_length() == 0 and device.files() == [])
    camera.trouble = None
    device.admit("t-2", plain=True)
    until(lambda: cloud.captures() == ["t-2"])
    assert "knows no outcomes" in device.log()


def test_another_clouds_pictures_are_held_and_released_on_request(device: Device, cloud: FakeCloud) -> None:
    asked: list[str] = []

    def not_the_old_one(request: Request) -> Answer | None:
        if request.path == "/v1/captures" and b'"t-old"' in request.body:
            asked.append("t-old")
            return Answer(500)
        return None

    cloud.script = not_the_old_one
    device.confirm_stream()
    device.start()
    device.admit("t-old")
    until(lambda: asked and len(device.files("outbox")) == 1)
    device.cloud_id = "cloud-2"
    device.confirm_stream()
    until(lambda: "cloud_id=cloud-2" in device.log())
    device.admit("t-new")
    until(lambda: cloud.captures() == ["t-new"])
    before = len(asked)
    device.confirm_stream()  # ends every wait
    device.admit("t-newer")
    until(lambda: "t-newer" in cloud.captures())
    assert len(asked) == before
    listed = device.run("spool", "ls").stdout
    assert "held" in listed and "t-old" in listed and "1 held" in listed
    refused = device.run("spool", "requeue", "t-old")
    assert refused.returncode == 1 and "--here" in refused.stderr
    cloud.script = None
    assert device.run("spool", "requeue", "all", "--here").returncode == 0
    until(lambda: cloud.captures() == ["t-new", "t-newer", "t-old"] and device.files() == [])


def test_a_cloud_that_takes_raw_pictures_gets_them_so(device: Device, camera: FakeCamera, cloud: FakeCloud) -> None:
    device.confirm_stream(accepts=("image/webp", "image/jpeg"))
    device.start()
    device.admit("t-ä")
    until(lambda: cloud.captures() == ["t-ä"])
    stored = cloud.stored[0]
    assert stored.headers["content-type"] == "image/jpeg" and stored.jpeg == camera.picture(1)
    assert stored.fields["metadata"]["trigger_type"] == "manual"


@pytest.mark.parametrize("fault", ["header stripped", "header cut", "page of a proxy", "cloud of an older release"])
def test_a_raw_picture_that_is_refused_goes_as_json_before_anything_follows_from_it(
    device: Device, camera: FakeCamera, cloud: FakeCloud, fault: str
) -> None:
    raw: list[str] = []

    def way(request: Request) -> Answer | None:
        if request.headers.get("content-type") != "image/jpeg":
            return None
        raw.append(request.path)
        if fault == "header stripped":
            del request.headers["visant-capture"]
        elif fault == "header cut":
            request.headers["visant-capture"] = request.headers["visant-capture"][:200]
        elif fault == "page of a proxy":
            return page(431)
        else:
            return problem(400, "not JSON")
        return None

    cloud.script = way
    device.confirm_stream(accepts=("image/jpeg",))
    device.start()
    for number in range(3):
        device.admit(f"t-{number}")
        until(delivered(cloud, f"t-{number}"))
        until(lambda: device.files() == [])
    assert len(raw) == 1  # the others go as JSON at once
    assert "refused, tried again later" not in device.log() and device.files("dead-letter") == []
    cloud.script = None
    device.confirm_stream(accepts=("image/jpeg",))
    until(lambda: device.log().count("uploader ready") == 1)
    device.admit("t-again")
    until(delivered(cloud, "t-again"))


def test_a_picture_that_is_refused_raw_and_as_json_counts_as_refused_once(device: Device, cloud: FakeCloud) -> None:
    kinds: list[str] = []

    def firewall(request: Request) -> Answer | None:
        if request.path != "/v1/captures":
            return None
        kinds.append(request.headers["content-type"])
        return page(403)

    cloud.script = firewall
    device.confirm_stream(accepts=("image/jpeg",))
    device.start()
    device.admit("t-1")
    until(lambda: len(kinds) >= 4)
    assert kinds[:4] == ["image/jpeg", "application/json"] * 2
    assert device.log().count("refused, tried again later") * 2 <= len(kinds)


def migrate(device: Device, cloud: FakeCloud, script: Script | None = None, **more: bool) -> None:
    """The plain cloud at this address has become one of ours, and does as `script` says from then on."""
    cloud.plain = False
    device.cloud_id = "cloud-new"
    device.confirm_stream(**more)
    until(lambda: "delivering to this cloud cloud_id=cloud-new" in device.log())
    cloud.script = script


def wait_for_plain(device: Device, cloud: FakeCloud, camera: FakeCamera, **environment: str) -> None:
    """A picture and a report lie in the spool of a device whose cloud is plain and takes nothing."""
    cloud.plain = True
    cloud.script = lambda request: page(502)
    device.cloud_id = device.api_url
    device.confirm_stream(plain=True, clock_offset=None)
    device.start(CAPTURE_PATIENCE="0.5", **environment)
    device.admit("t-1", plain=True)
    until(lambda: len(device.files("outbox")) == 1)
    camera.trouble = "camera_absent"
    device.admit("t-2", plain=True)
    until(lambda: len(device.files("outbox")) == 2)
    camera.trouble = None


def test_a_cloud_that_succeeds_the_plain_one_at_its_address_gets_what_waits_and_nothing_is_taken_twice(
    device: Device, camera: FakeCamera, cloud: FakeCloud
) -> None:
    wait_for_plain(device, cloud, camera)
    served = camera.served
    migrate(device, cloud, succeeds=True)
    device.admit("t-1")  # it knows the old ledger and asks again for what it lacks
    device.admit("t-3")
    until(lambda: sorted(cloud.captures()) == ["t-1", "t-3"])
    until(lambda: cloud.reports("t-2") == [("failed", "camera_absent")])
    until(lambda: device.files() == [] and device.queue_length() == 0)
    assert camera.served == served + 1
    late = {stored.trigger_id: stored.headers for stored in cloud.stored}["t-1"]
    assert late["x-visant-cloud"] == "cloud-new"
    device.admit("t-late", plain=True, cloud_id=device.api_url)  # the plain cloud's last command, still in the queue
    until(lambda: "t-late" in cloud.captures() and device.files() == [])


def test_what_was_taken_over_is_delivered_after_a_restart_without_redis(
    device: Device, camera: FakeCamera, cloud: FakeCloud, redis_process: RedisServer
) -> None:
    wait_for_plain(device, cloud, camera)
    migrate(device, cloud, cloud.script, succeeds=True)
    until(lambda: "taken over from the plain cloud" in device.log())
    device.kill()
    redis_process.kill()
    cloud.script = None
    device.start()
    until(lambda: cloud.captures() == ["t-1"] and cloud.reports("t-2") == [("failed", "camera_absent")])
    redis_process.start()


def test_a_cloud_of_ours_that_succeeds_nobody_gets_none_of_it(
    device: Device, camera: FakeCamera, cloud: FakeCloud
) -> None:
    wait_for_plain(device, cloud, camera)
    migrate(device, cloud)
    device.admit("t-1")  # another cloud's trigger, though it has the same name
    until(lambda: cloud.captures() == ["t-1"] and len(device.files("outbox")) == 2)
    assert cloud.outcomes == {}
    assert "2 held" in device.run("spool", "ls").stdout


@pytest.mark.parametrize(("before", "now", "taken"), [("", "new", True), ("a", "a", True), ("a", "b", False)])
def test_it_takes_over_with_the_token_that_the_plain_cloud_knew_or_where_that_knew_none(
    device: Device, camera: FakeCamera, cloud: FakeCloud, before: str, now: str, taken: bool
) -> None:
    wait_for_plain(device, cloud, camera, DEVICE_TOKEN=before)
    device.terminate()
    for _ in range(2):  # a refusal is remembered over a restart
        device.start(DEVICE_TOKEN=now)
        migrate(device, cloud, succeeds=True)
        device.admit("t-3")
        until(lambda: "t-3" in cloud.captures())
        if taken:
            until(lambda: sorted(cloud.captures()) == ["t-1", "t-3"] and device.files() == [])
        else:
            until(lambda: "DEVICE_TOKEN is another one" in device.log() and len(device.files("outbox")) == 2)
            assert cloud.captures() == ["t-3"]
        device.terminate()


def test_a_full_spool_says_so_and_recovers_by_itself(device: Device, cloud: FakeCloud, camera: FakeCamera) -> None:
    camera.size = 300_000
    cloud.script = uploads(Answer(503))
    device.confirm_stream()
    device.start(SPOOL_MAX_BYTES=str(1 << 20))
    for number in range(3):
        device.admit(f"t-{number}")
    until(lambda: len(device.files("outbox")) == 3)
    device.admit("t-full")
    until(lambda: len(device.files("outbox")) == 4)
    cloud.script = None
    device.confirm_stream()
    until(lambda: cloud.reports("t-full") == [("failed", "spool_full")])
    until(lambda: len(cloud.captures()) == 3)
    device.admit("t-after")
    until(lambda: "t-after" in cloud.captures())


def test_a_disk_that_refuses_outcomes_stops_reading_and_nothing_is_acknowledged(
    device: Device, cloud: FakeCloud
) -> None:
    device.confirm_stream()
    device.start()
    until(lambda: "uploader ready" in device.log())
    drafts = device.spool / "draft"
    until(drafts.is_dir)
    drafts.rename(device.spool / "draft-away")  # every open fails, for root too
    device.admit("t-1")
    until(lambda: "cannot be written" in device.log())
    assert device.queue_length() == 1 and device.running()
    until(lambda: "degraded" in device.run("health").stdout)
    (device.spool / "draft-away").rename(drafts)
    until(lambda: cloud.reports("t-1") == [("failed", "spool_full")] and device.queue_length() == 0)
    device.admit("t-2")
    until(lambda: cloud.captures() == ["t-2"])


def test_redis_killed_in_the_middle_costs_nothing(device: Device, cloud: FakeCloud, redis_process: RedisServer) -> None:
    device.confirm_stream()
    device.start()
    for number in range(20):
        device.admit(f"t-{number}")
    until(lambda: len(cloud.captures()) >= 1)
    redis_process.kill()
    until(lambda: "Redis does not answer" in device.log())
    assert device.running()
    redis_process.start()
    for number in range(20, 25):
        device.admit(f"t-{number}")
    until(lambda: sorted(cloud.captures()) == sorted(f"t-{number}" for number in range(25)))
    until(lambda: device.queue_length() == 0 and device.files() == [])


def test_a_redis_that_forgot_everything_is_used_as_a_new_one(
    device: Device, cloud: FakeCloud, redis_process: RedisServer
) -> None:
    device.confirm_stream()
    device.start()
    device.admit("t-1")
    until(lambda: cloud.captures() == ["t-1"])
    with device.redis as connection:
        connection.flushall()
    device.confirm_stream()
    device.admit("t-2")
    until(lambda: cloud.captures() == ["t-1", "t-2"])


def test_without_redis_what_is_on_the_disk_is_still_delivered(
    device: Device, cloud: FakeCloud, redis_process: RedisServer
) -> None:
    cloud.script = uploads(Answer(503))
    device.confirm_stream()
    device.start()
    device.admit("t-1")
    until(lambda: len(device.files("outbox")) == 1)
    device.kill()
    redis_process.kill()
    cloud.script = None
    device.start()
    until(lambda: cloud.captures() == ["t-1"])
    redis_process.start()


def test_a_hundred_and_fifty_old_pictures_let_a_new_one_go_first(device: Device, cloud: FakeCloud) -> None:
    count = 150
    device.confirm_stream()
    device.start()
    until(lambda: "delivering to this cloud" in device.log())
    device.terminate()
    place = device.spool / "outbox" / Destination("cloud-1", "FLOOR1").place
    place.mkdir(exist_ok=True)
    for number in range(count):
        time_of_exposure = CaptureTime(boot_id="b", boottime=number, wall=datetime.now(UTC), synchronised=True)
        header = SpoolHeader(
            kind="picture",
            device_id="FLOOR1",
            cloud_id="cloud-1",
            plain=False,
            api_url=device.api_url,
            trigger_id=f"old-{number}",
            trigger_type="scheduled",
            device_version="2.0.0",
            time=time_of_exposure,
        )
        sealed, pieces = encode(header, b"x" * 500)
        (place / sealed.file_name()).write_bytes(b"".join(pieces))
        os.utime(place / sealed.file_name(), (number, number))
    permits = threading.Semaphore(20)  # so many uploads are answered until the test has seen what it wants to see

    def gate(request: Request) -> None:
        if request.path == "/v1/captures":
            permits.acquire()

    cloud.script = gate
    device.start()
    until(lambda: len(cloud.captures()) == 20)
    assert set(cloud.captures()) == {f"old-{n}" for n in [*range(10), *range(count - 10, count)]}
    listed = device.run("spool", "ls", "--json").stdout.splitlines()
    assert json.loads(listed[-1])["spool"]["pictures"] >= count - 20
    device.admit("new")
    until(lambda: "captured trigger_id=new" in device.log())
    permits.release(2 * count)
    until(lambda: "new" in cloud.captures())
    assert cloud.captures().index("new") < 30  # after what was on its way already, and no more
    until(lambda: len(cloud.captures()) == count + 1 and device.files() == [], seconds=90)


def test_a_command_of_an_earlier_boot_waits_for_its_replay_and_newer_ones_pass(
    device: Device, cloud: FakeCloud
) -> None:
    device.start()
    until(lambda: "uploader ready" in device.log())
    old = device.admit("t-old", boot_id="boot-before")
    lost = device.admit("t-lost", boot_id="boot-before")
    device.confirm_stream()
    device.admit("t-new")
    until(lambda: cloud.captures() == ["t-new"])
    device.renew(old)
    until(lambda: "t-old" in cloud.captures())
    assert lost and cloud.reports("t-lost") == []
    until(lambda: cloud.reports("t-lost") == [("expired", "rebooted")])
    assert sorted(cloud.captures()) == ["t-new", "t-old"]


def test_a_stream_cut_short_is_no_replay_and_the_next_one_renews(device: Device, cloud: FakeCloud) -> None:
    device.start()
    until(lambda: "uploader ready" in device.log())
    old = device.admit("t-old", boot_id="boot-before")
    device.confirm_stream(at=boottime() - 20, cut_short=True)
    device.admit("t-new")
    until(lambda: cloud.captures() == ["t-new"])
    time.sleep(3)  # parked commands are looked at each second
    assert cloud.reports("t-old") == [] and device.queue_length() == 1
    device.confirm_stream()
    device.renew(old)
    until(lambda: cloud.captures() == ["t-new", "t-old"])


@pytest.mark.parametrize("uploader", ["there before the replay", "started while it goes on"])
def test_a_replay_that_takes_longer_than_ten_seconds_is_waited_for_while_it_goes_on(
    device: Device, cloud: FakeCloud, uploader: str
) -> None:
    first, last = (device.admit(name, boot_id="boot-before") for name in ("t-first", "t-last"))
    device.admit("t-lost", boot_id="boot-before")
    if uploader == "there before the replay":
        device.start()
        until(lambda: "uploader ready" in device.log())
        time.sleep(2)  # all three are parked: they are looked at each second
    device.confirm_stream(at=boottime() - 7)
    device.renew(first)
    if uploader == "started while it goes on":
        device.start()
    until(lambda: cloud.captures() == ["t-first"])
    time.sleep(5)
    assert cloud.reports("t-last") == []
    device.renew(last)
    until(lambda: cloud.captures() == ["t-first", "t-last"])
    until(lambda: cloud.reports("t-lost") == [("expired", "rebooted")])


def test_a_late_command_expires_without_a_picture(device: Device, camera: FakeCamera, cloud: FakeCloud) -> None:
    device.confirm_stream()
    device.admit("t-1", ttl=-5)
    device.start()
    until(lambda: cloud.reports("t-1") == [("expired", "deadline_passed")])
    assert camera.asked == 0


def test_a_picture_older_than_its_request_is_never_kept(device: Device, camera: FakeCamera, cloud: FakeCloud) -> None:
    def stale(request: Request) -> Answer | None:
        from visant_contract.snapshot import SnapshotInfo

        info = SnapshotInfo(captured_boottime=boottime() - 3, sequence=1, width=1, height=1)
        return Answer(200, camera.picture(0), info.headers())

    camera.script = stale
    device.confirm_stream()
    device.start(CAPTURE_PATIENCE="1")
    device.admit("t-1")
    until(lambda: cloud.reports("t-1") == [("failed", "bad_frames")])
    assert cloud.captures() == []


def test_captured_at_is_the_clouds_time_when_the_devices_clock_is_a_day_off(device: Device, cloud: FakeCloud) -> None:
    ahead = 86400.0
    device.confirm_stream(clock_offset=datetime.now(UTC).timestamp() + ahead - boottime())
    device.start()
    device.admit("t-1")
    until(lambda: cloud.captures() == ["t-1"])
    fields = cloud.stored[0].fields
    at = datetime.fromisoformat(fields["captured_at"]).timestamp()
    assert abs(at - time.time() - ahead) < 120
    assert fields["metadata"]["time"]["corrected"] is True


def test_debug_copies_that_cannot_be_written_harm_nothing(device: Device, cloud: FakeCloud) -> None:
    (device.folder / "file").write_text("no folder")
    device.confirm_stream()
    device.start(SAVE_FRAMES_DIR=str(device.folder / "file"))
    device.admit("t-1")
    device.admit("t-2")
    until(lambda: sorted(cloud.captures()) == ["t-1", "t-2"])
    until(lambda: device.log().count("SAVE_FRAMES_DIR") == 1)


def test_debug_copies_on_a_medium_that_hangs_stop_no_picture_and_no_end(device: Device, cloud: FakeCloud) -> None:
    frames = device.folder / "frames"
    frames.mkdir()
    os.mkfifo(frames / ".newest")  # whoever opens it waits for a reader, for ever
    device.confirm_stream()
    device.start(SAVE_FRAMES_DIR=str(frames), TELEMETRY_INTERVAL="5")
    for number in range(12):
        device.admit(f"t-{number}")
    until(lambda: len(cloud.captures()) == 12 and device.queue_length() == 0)
    until(lambda: any(told["counters"].get("debug_copies_dropped") for told in cloud.telemetry))
    assert "is the medium slow, or does it hang?" in device.log()
    status, seconds = device.terminate(30)
    assert status == 0 and seconds < 10


def test_sigterm_in_the_middle_ends_quickly_and_loses_nothing(
    device: Device, camera: FakeCamera, cloud: FakeCloud
) -> None:
    hold = threading.Event()
    cloud.script = held(hold)
    camera.trouble = "camera_absent"
    device.confirm_stream()
    device.start(CAPTURE_PATIENCE="60", UPLOAD_TIMEOUT="60")
    until(lambda: "uploader ready" in device.log())
    device.admit("t-1")
    until(lambda: camera.asked >= 1)
    status, seconds = device.terminate(30)
    assert status == 0
    camera.trouble = None
    device.start(UPLOAD_TIMEOUT="60")
    until(lambda: len(device.files("outbox")) == 1)
    until(lambda: any(path == "/v1/captures" for _, path in cloud.requests))
    status, uploading = device.terminate(30)
    assert status == 0
    hold.set()
    cloud.script = None
    device.start()
    until(lambda: cloud.captures() == ["t-1"] and device.files() == [])
    assert max(seconds, uploading) < 10
