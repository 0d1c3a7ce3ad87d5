"""A card that is full: by the spool's own limit, and for real."""

import asyncio
import os
import subprocess
from pathlib import Path

from PIL import Image

from emulation.redis_server import redis_child
from tests.faults.arena import Arena, is_root
from tests.faults.fault_proxy import Answer
from tests.faults.scenario import Scenario, Skipped, add

_CARD_BYTES = 48 << 20


async def _spool_full(arena: Arena) -> None:
    arena.proxy.faults.uploads = Answer(503)
    await asyncio.sleep(15.0)
    arena.proxy.faults.uploads = None
    arena.struck(any("503" in name for name in arena.proxy.faults.counts), "uploads answered with 503")


async def _large_pictures(arena: Arena) -> None:
    """A camera whose pictures are 150 KB and more: the fake camera's scene is too small to fill a spool in 15 s."""
    noise = Image.effect_noise((640, 480), 120).convert("RGB")
    noise.save(arena.device.folder / "noise.jpg", quality=90)
    arena.device.set(CAMERA_SOURCE=str(arena.device.folder / "noise.jpg"))


async def _some_did_not_fit(arena: Arena) -> None:
    rows = await arena.target.triggers(arena.device.device_id)
    arena.struck(any(row.reason == "spool_full" for row in rows.values()), "a picture that did not fit")


add(
    Scenario(
        "spool_full",
        _spool_full,
        "the spool may hold 1 MiB, and no upload gets through for 15 s",
        device={"SPOOL_MAX_BYTES": str(1 << 20)},
        allowed={"spool_full": "pictures beyond SPOOL_MAX_BYTES are not kept, what was captured before is"},
        prepare=_large_pictures,
        check=_some_did_not_fit,
    )
)


async def _small_card(arena: Arena) -> None:
    if not is_root():
        raise Skipped("a small file system needs root")
    card = arena.device.folder / "card"
    card.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_CARD_BYTES}", "visant-faults", str(card)], check=True)

    async def unmount() -> None:
        subprocess.run(["umount", "-l", str(card)], check=False)

    arena.cleanups.append(unmount)
    (card / "spool").mkdir()
    arena.device.set(SPOOL_DIR=str(card / "spool"), SPOOL_MIN_FREE_BYTES=str(8 << 20))
    # Redis lies on the same card, as it does on the device
    arena.device.redis = redis_child("redis", arena.device.redis_port, card / "redis", arena.logs)
    arena.device.redis.longest_delay = 2.0


async def _disk_full(arena: Arena) -> None:
    ballast = arena.device.folder / "card" / "ballast"
    fill(ballast)
    await asyncio.sleep(10.0)
    free = os.statvfs(ballast).f_bavail
    ballast.unlink()
    arena.note(f"{free} blocks were free at the end; Redis was started {arena.device.redis.starts} times")


def fill(path: Path) -> None:
    """Writes `path` until its file system has not a byte left."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue


add(
    Scenario(
        "disk_full",
        _disk_full,
        "the device's card (48 MiB, Redis on it too) is filled to the last byte for 10 s",
        prepare=_small_card,
        allowed={"spool_full": "below SPOOL_MIN_FREE_BYTES no picture is kept"},
        proxied=False,
    )
)


async def _disk_low(arena: Arena) -> None:
    card = arena.device.folder / "card"
    ballast = card / "ballast"
    state = os.statvfs(card)
    with ballast.open("wb") as file:
        file.write(b"x" * (state.f_bavail * state.f_frsize - (4 << 20)))
    await asyncio.sleep(10.0)
    ballast.unlink()


add(
    Scenario(
        "disk_below_floor",
        _disk_low,
        "free space below SPOOL_MIN_FREE_BYTES for 10 s",
        prepare=_small_card,
        allowed={"spool_full": "below SPOOL_MIN_FREE_BYTES no picture is kept"},
        check=_some_did_not_fit,
        proxied=False,
    )
)


async def _hanging_frames(arena: Arena) -> None:
    frames = arena.device.folder / "frames"
    frames.mkdir(parents=True)
    os.mkfifo(frames / ".newest")  # whoever opens it waits for a reader, for ever
    arena.device.set(SAVE_FRAMES_DIR=str(frames))


async def _end_and_begin(arena: Arena) -> None:
    uploader = arena.device.uploader
    assert await uploader.terminate(grace=10.0), "the uploader did not end within 10 s of SIGTERM"


add(
    Scenario(
        "debug_frames_hang",
        _end_and_begin,
        "SAVE_FRAMES_DIR on a medium that hangs; the uploader is told to end meanwhile",
        prepare=_hanging_frames,
    )
)
