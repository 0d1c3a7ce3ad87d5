"""The connection to Redis breaks in the middle of each kind of command: nothing that was read stays behind."""

import pytest
import redis

from tests.fakes.fake_camera import FakeCamera
from tests.fakes.fake_cloud import FakeCloud
from tests.support.redis_cutter import Moment, RedisCutter
from tests.support.uploader_process import Device, until
from visant_contract.stream import STREAM


@pytest.mark.parametrize("moment", ["not sent", "not answered"])
@pytest.mark.parametrize("word", [b"XREADGROUP", b"HMGET", b"XACK"])
def test_a_command_is_cut_and_every_trigger_ends_in_one_picture(
    device: Device, redis_server: str, camera: FakeCamera, cloud: FakeCloud, word: bytes, moment: Moment
) -> None:
    with redis.Redis.from_url(redis_server) as connection:  # its entry is dropped at once, in the middle of a batch
        connection.xadd(STREAM, {"entry": "nothing that can be read"})
    device.confirm_stream()
    triggers = [f"t-{number}" for number in range(10)]
    for trigger in triggers:
        device.admit(trigger)
    cutter = RedisCutter(redis_server, word, moment)
    device.start(REDIS_URL=cutter.url)
    until(lambda: sorted(cloud.captures()) == triggers, what="10 captures")
    until(lambda: device.queue_length() == 0, what="an empty queue")
    assert cutter.cuts == 1
    assert camera.served == 10
    device.kill()
    cutter.close()
