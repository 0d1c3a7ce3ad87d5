"""The cloud's clock is set: nothing that was there is deleted, nobody is signed out for good."""

from datetime import datetime, timedelta
from typing import Any

from visant_cloud import housekeeping
from visant_cloud.access import credentials
from visant_cloud.commands.expiry import Expiry
from visant_cloud.deletion_clock import LOOK_EVERY, DeletionClock
from visant_cloud.store import access, people, schedules
from visant_cloud.store.schedules import MissedRun

HOUR, DAY, YEAR = 3600.0, 86400.0, 365 * 86400.0


class Uptime:
    """CLOCK_BOOTTIME of a test: it and the cloud's clock go on together."""

    def __init__(self, cloud: Any) -> None:
        self._cloud = cloud
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds
        self._cloud.time.pass_(seconds)


def clock_of(cloud: Any, uptime: Uptime) -> DeletionClock:
    return DeletionClock(cloud.cloud.database, cloud.time, uptime)


def near(found: datetime | None, wanted: datetime) -> bool:
    """Within the seconds that a test takes."""
    return found is not None and abs(found - wanted) < timedelta(minutes=1)


async def test_nothing_is_deleted_in_the_hour_after_a_start_or_a_step_and_then_it_goes_on(start: Any) -> None:
    cloud = await start()
    uptime = Uptime(cloud)
    clock = clock_of(cloud, uptime)
    assert await clock.look() is None, "a process that has just started has seen nothing"
    uptime.pass_(LOOK_EVERY)
    assert near(await clock.look(), cloud.time())
    for step in (YEAR, -YEAR, YEAR):
        cloud.time.pass_(step)
        assert await clock.look() is None
        uptime.pass_(LOOK_EVERY / 2)
        assert await clock.look() is None
    cloud.time.pass_(-YEAR)
    assert await clock.look() is None
    uptime.pass_(LOOK_EVERY)
    assert near(await clock.look(), cloud.time())


async def test_a_clock_that_stays_a_year_ahead_costs_a_day_an_hour_whatever_is_restarted(start: Any) -> None:
    cloud = await start()
    uptime = Uptime(cloud)
    clock = clock_of(cloud, uptime)
    uptime.pass_(HOUR)
    assert near(await clock.look(), cloud.time())
    before = cloud.time()
    cloud.time.pass_(YEAR)
    for restarts in range(1, 4):
        clock = clock_of(cloud, uptime)
        uptime.pass_(HOUR)
        for _ in range(3):  # a round that failed is tried again
            assert near(await clock.look(), before + timedelta(days=restarts))


async def test_a_cloud_whose_clock_is_a_year_ahead_keeps_its_pictures(start: Any) -> None:
    cloud = await start(retention_days=30.0)
    await cloud.register()
    assert (await cloud.capture("D1", "t")).status_code == 201
    uptime = Uptime(cloud)
    cloud.time.pass_(YEAR)
    clock = clock_of(cloud, uptime)
    uptime.pass_(HOUR)
    up_to = await clock.look()
    assert up_to is not None
    assert await housekeeping.remove_old(cloud.cloud, [], up_to) == 0
    assert await housekeeping.remove_old(cloud.cloud, [], cloud.time()) == 1, "by the wall clock it would be gone"


async def test_sign_ins_and_codes_outlive_a_clock_that_was_ahead(start: Any) -> None:
    cloud = await start(auth="required")

    async def sign_in(name: str) -> None:
        async with cloud.cloud.database.writing() as connection:
            found = await people.operator(connection, "ada")
            assert found is not None
            expires_at = cloud.time() + timedelta(days=7)
            await access.open_session(connection, credentials.digest(name), found[0], "csrf", cloud.time(), expires_at)

    async def signed_in(name: str) -> bool:
        async with cloud.cloud.database.reading() as connection:
            return await access.session(connection, credentials.digest(name), cloud.time()) is not None

    async def add_code(name: str) -> None:
        async with cloud.cloud.database.writing() as connection:
            await access.add_enrol_code(
                connection,
                "default",
                credentials.digest(name),
                device_id=None,
                replace=False,
                now=cloud.time(),
                expires_at=cloud.time() + timedelta(days=1),
            )

    async with cloud.cloud.database.writing() as connection:
        await people.set_operator(connection, "default", "ada", "hash", cloud.time())
    await sign_in("before")
    await add_code("before")
    cloud.time.pass_(YEAR)
    assert not await signed_in("before")
    await sign_in("meanwhile")
    await add_code("meanwhile")
    cloud.time.pass_(-YEAR)
    assert await signed_in("before")
    async with cloud.cloud.database.writing() as connection:
        assert await access.enrol_code(connection, credentials.digest("before")) is not None
    await housekeeping.forget_old(cloud.cloud, cloud.time() + timedelta(days=8))
    cloud.time.pass_(6 * DAY)
    assert not await signed_in("before"), "what is really over is forgotten"
    async with cloud.cloud.database.writing() as connection:
        assert await access.enrol_code(connection, credentials.digest("before")) is None


async def test_a_trigger_that_a_wrong_clock_called_expired_is_executed_by_its_picture(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    trigger_id = await cloud.trigger("D1")
    cloud.time.pass_(DAY)
    assert await Expiry(cloud.cloud.database, cloud.time, 60.0).sweep() == 1
    cloud.time.pass_(-DAY)
    assert (await cloud.capture("D1", trigger_id)).status_code == 201
    row = await cloud.row("D1", trigger_id)
    assert row["status"] == "executed" and [one["status"] for one in row["history"]] == ["expired"]


async def test_missed_slots_are_kept_for_90_days(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    now = cloud.time()
    runs = [
        MissedRun(1, "D1", at - timedelta(hours=1), at, 5, "late")
        for at in (now - timedelta(days=days) for days in (400, 91, 89, 1))
    ]
    async with cloud.cloud.database.writing() as connection:
        await schedules.note_missed(connection, [(run, run.first_at) for run in runs])
    await housekeeping.forget_old(cloud.cloud, now)
    async with cloud.cloud.database.reading() as connection:
        left = await schedules.missed(connection, "D1", 10)
    assert [(now - run.last_at).days for run in left] == [1, 89]
