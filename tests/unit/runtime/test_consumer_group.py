"""The group of the command stream, as connector and uploader make it. With a real Redis: test_admission.py."""

from typing import Any

import pytest
from redis.exceptions import ConnectionError, RedisError, ResponseError

from visant_contract.stream import GROUP, STREAM
from visant_runtime.device.consumer_group import make_group


class OneAnswer:
    """A Redis that answers XGROUP CREATE with this error, or with OK."""

    def __init__(self, error: RedisError | None) -> None:
        self._error = error
        self.asked: list[tuple[Any, ...]] = []

    async def xgroup_create(self, name: str, group: str, id: str, mkstream: bool = False) -> bool:
        self.asked.append((name, group, id, mkstream))
        if self._error is not None:
            raise self._error
        return True


@pytest.mark.parametrize(
    ("error", "there"),
    [
        (None, True),
        (ResponseError("BUSYGROUP Consumer Group name already exists"), True),
        (ResponseError("The XGROUP subcommand requires the key to exist. Note that for CREATE you may want"), False),
    ],
)
async def test_the_group_begins_at_the_first_entry_and_never_makes_the_stream(
    error: RedisError | None, there: bool
) -> None:
    redis: Any = OneAnswer(error)
    assert await make_group(redis) is there
    assert redis.asked == [(STREAM, GROUP, "0", False)]


@pytest.mark.parametrize("error", [ResponseError("MISCONF cannot write"), ConnectionError("away")])
async def test_what_redis_refuses_otherwise_is_raised(error: RedisError) -> None:
    redis: Any = OneAnswer(error)
    with pytest.raises(type(error)):
        await make_group(redis)
