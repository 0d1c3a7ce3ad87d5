"""A device is deleted: at once nobody comes in as it and nothing is awaited of it; a job removes the rest.

With its pictures all that was kept of it goes, but for the fact that it was deleted and the hash of its token, by which
a device that comes back is told so. Without them the pictures and the ledger stay until retention takes them.
"""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.context import Cloud
from visant_cloud.problems import unknown_device
from visant_cloud.store import deletion, device_states, devices, jobs
from visant_cloud.store.jobs import Job, NewJob
from visant_runtime.kill_point import kill_point

KIND = "delete device"


async def begin(connection: AsyncConnection, new: NewJob, now: datetime) -> Job | None:
    """The device is gone with this transaction. None where the idempotency key was used before. Raises Refusal where
    there is no such device.

    The locks are taken in the order of device_states.py, and the device's own after them.
    """
    key = new.given["device_key"]
    await device_states.locked(connection, [key])
    if await devices.held(connection, key) is None:
        raise unknown_device(new.given["device_id"])
    count = await deletion.count_pictures(connection, key) if new.given["pictures"] else 0
    made = await jobs.add(connection, new, now, total=count + 1)
    if made is None:
        return None
    await deletion.stop(connection, key, now)
    await devices.delete(connection, key, made.job_id, now)
    return made


class DeleteDevice:
    """`given`: `device_id`, `device_key`, `pictures`. Its pieces are the pictures, and all the rest as one."""

    batch = 200
    can_be_cancelled = False

    async def step(self, cloud: Cloud, job: Job, most: int) -> int:
        """Files first: whoever goes on after a crash finds the rows of those that are left, and of some that are gone.

        A row without its file is nobody's harm here: no request is shown either any more.
        """
        key = job.given["device_key"]
        if job.given["pictures"]:
            async with cloud.database.reading() as connection:
                names = await deletion.pictures(connection, key, most)
            if names:
                await cloud.pictures.remove(names)
                kill_point("deleted_files")
                return await self._remove(cloud, job, [one.record_id for one in names])
            async with cloud.database.writing() as connection:
                if await deletion.remove_rows(connection, key, 1000):
                    return 1
        async with cloud.database.writing() as connection:
            held = await jobs.hold(connection, job.job_id)
            if held is not None:
                await devices.deleted(connection, key)
                await jobs.advance(connection, held, held.total - held.position, cloud.now(), ends=True)
        return 1

    async def _remove(self, cloud: Cloud, job: Job, record_ids: list[str]) -> int:
        async with cloud.database.writing() as connection:
            held = await jobs.hold(connection, job.job_id)
            if held is not None:
                await deletion.remove_pictures(connection, job.given["device_key"], record_ids)
                # one that came as it was deleted is one more than were counted
                count = min(len(record_ids), held.total - 1 - held.position)
                await jobs.advance(connection, held, count, cloud.now(), ends=False)
        return len(record_ids)
