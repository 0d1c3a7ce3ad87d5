"""The consumer group of the command stream, which the uploader reads by, whichever of the two services comes first."""

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from visant_contract.stream import GROUP, STREAM

FROM_THE_FIRST = "0"
"""Where it begins. One that began at `$` would never hand out what was queued before it."""


async def make_group(redis: Redis) -> bool:
    """True: the group is there, made now or before. False: there is no stream, and none is made here: it would hide
    from the connector that Redis lost the one before, and the commands in it. Raises RedisError.
    """
    try:
        await redis.xgroup_create(STREAM, GROUP, id=FROM_THE_FIRST)
    except ResponseError as error:
        if "requires the key to exist" in str(error):
            return False
        if "BUSYGROUP" not in str(error):
            raise
    return True
