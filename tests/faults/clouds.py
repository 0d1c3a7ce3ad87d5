"""Another cloud at the other end: a database that was reset, an API_URL that changed, a token that was revoked."""

import asyncio
import json
import shutil
import time

from emulation.cloud_api import CloudApi
from emulation.ports import hold_port
from emulation.stack import Cloud
from emulation.wait import until
from tests.faults.arena import Arena
from tests.faults.fault_proxy import Answer
from tests.faults.scenario import Scenario, add


async def _restart(arena: Arena, *services: str) -> None:
    for service in services:
        child = arena.children[service]
        starts = child.starts
        assert await child.terminate(grace=10.0), f"{service} did not end within 10 s of SIGTERM"
        while child.starts == starts:
            await asyncio.sleep(0.02)


async def _uploads_stop(arena: Arena) -> None:
    arena.proxy.faults.uploads = Answer(503)


async def _nothing_yet(arena: Arena) -> None:
    """The reset comes after the last trigger, in `after`."""


async def _reset_database(arena: Arena) -> None:
    """After all 30 were admitted and captured: the cloud forgets everything, its device included."""

    async def all_spooled() -> bool:
        return len(list(arena.device.spool.rglob("*.picture"))) >= len(arena.ledger)

    await until("every picture is in the spool", all_spooled, within=60)
    await arena.cloud.stop()
    shutil.rmtree(arena.cloud.folder)
    arena.cloud.folder.mkdir()
    if arena.workers is not None:
        await arena.workers.forget()
    await arena.cloud.start()
    arena.proxy.faults.uploads = None
    await arena.device.healthy()
    await arena.post(3)  # not deaf: the new cloud's triggers are captured
    fresh = {one.trigger_id for one in arena.ledger[-3:]}

    async def captured() -> bool:
        rows = await arena.target.triggers(arena.device.device_id)
        return all(trigger in rows and rows[trigger].status == "executed" for trigger in fresh)

    await until("the new cloud has its pictures", captured, within=60)
    rows = await arena.target.triggers(arena.device.device_id)
    assert not any(one.trigger_id in rows for one in arena.ledger[:-3]), "another cloud's pictures were delivered"
    await arena.uploader_command("spool", "requeue", "all", "--here")
    arena.fault_ended = time.time()  # a person has acted: recovery counts from here
    arena.note("held 30 pictures of the cloud that is gone until `spool requeue all --here`")


add(
    Scenario(
        "cloud_reset",
        _nothing_yet,
        "no upload gets through; after all triggers were admitted the cloud's database is reset",
        prepare=_uploads_stop,
        after=_reset_database,
    )
)


async def _back_up(arena: Arena) -> None:
    """From here on no upload gets through: what the device takes after the backup waits there."""
    await _uploads_stop(arena)

    async def all_answered() -> bool:
        return arena.proxy.uploads_under_way == 0

    await until("no upload is under way", all_answered, within=60)
    await _say(arena, "backup", str(arena.folder / "backups"))


async def _put_back(arena: Arena) -> None:
    """The cloud forgets every trigger since, and the device holds their pictures."""

    async def taken() -> bool:
        rows = await arena.target.triggers(arena.device.device_id)
        stored = sum(row.status == "executed" for row in rows.values())
        return stored + len(list(arena.device.spool.rglob("*.picture"))) >= len(arena.ledger)

    await until("every picture is in the cloud or in the spool", taken, within=60)
    (backup,) = [path for path in (arena.folder / "backups").iterdir() if path.is_dir()]
    cloud_id = json.loads((backup / "manifest.json").read_text())["clouds"]["default"]
    before = await arena.target.triggers(arena.device.device_id)
    await arena.cloud.stop()
    await _say(arena, "restore", str(backup), "--replace", cloud_id)
    await arena.cloud.start()
    known = await arena.target.triggers(arena.device.device_id)
    arena.struck(0 < len(known) < len(before), "the cloud forgot the triggers since its backup")
    arena.proxy.faults.uploads = None
    await arena.device.healthy()
    await arena.post(3)
    arena.note(f"{len(before) - len(known)} triggers were unknown to the cloud that was put back")


add(
    Scenario(
        "cloud_restored",
        _back_up,
        "a backup is made; later, with uploads held up since, the cloud is put back to it",
        after=_put_back,
        short=False,
    )
)


async def _other_cloud(arena: Arena) -> None:
    """Uploads stall for 3 s, so that pictures wait; then API_URL names another cloud, where triggers now come from."""
    arena.proxy.faults.uploads = Answer(503)
    await asyncio.sleep(3.0)
    other = Cloud(arena.folder / "other-cloud", arena.logs, name="other-cloud", port=hold_port())
    arena.cleanups.append(other.stop)
    await other.start()
    arena.device.set(API_URL=other.url)
    await _restart(arena, "connector", "uploader")
    arena.proxy.faults.uploads = None
    async with CloudApi(other.url) as api:

        async def subscribed() -> bool:
            return (await api.subscribers()).get(arena.device.device_id, 0) > 0

        await until("the device is at the other cloud", subscribed, within=60)
        mine, arena.ledger = arena.ledger, []
        first, arena.target = arena.target, api
        await arena.post(5)
        theirs, arena.ledger, arena.target = arena.ledger, mine, first

        async def captured() -> bool:
            rows = await api.triggers(arena.device.device_id)
            return all(one.trigger_id in rows and rows[one.trigger_id].status == "executed" for one in theirs)

        await until("the other cloud has its pictures", captured, within=60)
        foreign = {one.trigger_id for one in mine} & (await api.triggers(arena.device.device_id)).keys()
        assert not foreign, f"the other cloud got pictures that are not its own: {sorted(foreign)[:3]}"
    arena.device.set(API_URL=arena.proxy.url)
    await _restart(arena, "connector", "uploader")


add(
    Scenario(
        "api_url_changed",
        _other_cloud,
        "API_URL names another cloud and, some triggers later, the first one again",
        allowed={"deadline_passed": "commands of the cloud that the device had left"},
    )
)


async def _with_token(arena: Arena) -> None:
    await arena.proxy.start()
    await arena.cloud.start()
    device_token = await _say(arena, "create-device", arena.device.device_id)
    arena.device.set(DEVICE_TOKEN=device_token)
    api_token = await _say(arena, "create-token", "faults")
    arena.retarget(arena.cloud.url, api_token)


async def _say(arena: Arena, *arguments: str) -> str:
    """Runs `visant-cloud ARGUMENTS` beside the running cloud; the last word of its output."""
    child = arena.cloud.child
    process = await asyncio.create_subprocess_exec(
        *child.argv[: child.argv.index("run")],
        *arguments,
        env=child.env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode == 0, f"visant-cloud {' '.join(arguments)}: {error.decode()}"
    return (out.decode().split() or [""])[-1]


async def _revoke(arena: Arena) -> None:
    device = arena.device.device_id
    await arena.target.change_device(device, token_revoked=True)

    async def refused() -> bool:
        return device not in await arena.target.subscribers()

    await until("the stream of the revoked device has ended", refused, within=5)
    await asyncio.sleep(10.0)
    arena.struck(await refused(), "a revoked device stays out")
    await arena.target.change_device(device, token_revoked=False)


add(
    Scenario(
        "token_revoked",
        _revoke,
        "the device's token is revoked for 10 s and given back",
        cloud={"AUTH": "required"},
        prepare=_with_token,
        allowed={"deadline_passed": "a device that is refused asks again once a minute at most"},
    )
)
