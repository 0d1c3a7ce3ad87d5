"""The power goes, and with it what no fsync had put on the card.

A kill alone proves nothing about fsync: the kernel lives on and writes everything. Here the file system is shut down
without its log being flushed, as xfstests simulate power cuts (FS_IOC_SHUTDOWN, Linux' fs/ext4/ioctl.c), and mounted
again: it holds what was synced, and of the rest what the kernel happened to have written.
"""

import asyncio
import fcntl
import os
import random
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from emulation.processes import Child
from tests.faults.arena import Arena, is_root
from tests.faults.kills import kill_points
from tests.faults.scenario import Scenario, Skipped, add

_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN: _IOR('X', 125, __u32)
_WITHOUT_FLUSHING_THE_LOG = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH
_CARD_BYTES = 256 << 20
_CUT_SEED = 20_26
_ANY_MOMENT = "any moment"


class Card:
    """An ext4 of its own at `folder`, where whatever is written can be lost as on a card without power."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._generation = 0

    @property
    def _image(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}-{self._generation}.img")

    def make(self) -> None:
        """A new file system; the folders that were there are there again."""
        with self._image.open("wb") as file:
            file.truncate(_CARD_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(self._image)], check=True)
        kept = [path.name for path in self.folder.iterdir() if path.is_dir()]
        self.mount()
        for name in kept:
            (self.folder / name).mkdir()
        subprocess.run(["sync", "--file-system", str(self.folder)], check=True)

    def mount(self) -> None:
        """Also after a cut: the kernel replays the journal."""
        subprocess.run(["mount", "-o", "loop,noatime", str(self._image), str(self.folder)], check=True)

    def lose_power(self) -> bool:
        """Everything that is not on the card is gone, and it is mounted again. Whether something was lost.

        No process may have a file of it open any more.
        """
        canary = self.folder / "canary"
        canary.write_bytes(b"not synced")
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _WITHOUT_FLUSHING_THE_LOG))
        finally:
            os.close(handle)
        self._unmount()
        # A copy: whoever made a mount namespace meanwhile still has the dead file system, and would share it with us.
        old = self._image
        self._generation += 1
        subprocess.run(["cp", "--sparse=always", str(old), str(self._image)], check=True)
        old.unlink()
        self.mount()
        lost = not canary.exists() or canary.read_bytes() != b"not synced"
        canary.unlink(missing_ok=True)
        return lost

    def _unmount(self) -> None:
        """On a busy machine a killed process may keep its files for another moment."""
        deadline = time.monotonic() + 30.0
        while True:
            done = subprocess.run(["umount", str(self.folder)], check=False, capture_output=True, text=True)
            if done.returncode == 0:
                return
            assert time.monotonic() < deadline, f"still in use 30 s after the kill: {done.stderr.strip()}"
            time.sleep(0.05)

    def take_away(self) -> None:
        """For good."""
        subprocess.run(["umount", "-l", str(self.folder)], check=False, stderr=subprocess.DEVNULL)
        for image in self.folder.parent.glob(f"{self.folder.name}-*.img"):
            image.unlink()


class _House:
    """What hangs on one fuse: processes, and the cards they write to."""

    def __init__(self, arena: Arena, *, device: bool, cloud: bool) -> None:
        self.children: Mapping[str, Child] = (arena.device.children if device else {}) | (
            {"cloud": arena.cloud.child} if cloud else {}
        )
        folders = [arena.device.folder] * device + [arena.cloud.folder] * cloud
        self.cards = [Card(folder) for folder in folders]

    async def cut(self, end_next: tuple[Child, str] | None) -> bool:
        """The power is off, and on again. Whether each card lost something.

        `end_next`: the process that then dies by itself, and the step at which it does.
        """
        for child in self.children.values():
            child.kill_now()
        await asyncio.gather(*(child.stop() for child in self.children.values()))
        lost = [await asyncio.to_thread(card.lose_power) for card in self.cards]
        if end_next is not None:
            end_next[0].env["VISANT_KILL_POINT"] = end_next[1]
        for child in self.children.values():
            await child.start()
        if end_next is not None:
            del end_next[0].env["VISANT_KILL_POINT"]
        return all(lost)


async def _on_cards(arena: Arena, *, device: bool, cloud: bool) -> None:
    if not is_root():
        raise Skipped("a file system of its own needs root")
    for card in _House(arena, device=device, cloud=cloud).cards:

        async def take_away(card: Card = card) -> None:
            card.take_away()

        arena.cleanups.append(take_away)
        try:
            card.make()
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            raise Skipped(f"no ext4 on a loop device here: {error}") from None


async def _cuts(arena: Arena, *, device: bool, cloud: bool, count: int) -> None:
    house = _House(arena, device=device, cloud=cloud)
    rng = random.Random(_CUT_SEED)
    steps = [(house.children[service], step) for service in ("uploader", "connector", "cloud")
             if service in house.children for step in kill_points(service)]  # fmt: skip
    rng.shuffle(steps)
    lost = 0
    at: Counter[str] = Counter()
    done = asyncio.Event()
    posting = asyncio.create_task(_keep_posting(arena, done))
    try:
        step = None
        for number in range(count):
            at[await _end_of_life(arena, rng, step)] += 1
            step = (
                steps[number // 2 % len(steps)] if number % 2 == 0 else None
            )  # every second cut at a step of the work
            lost += await house.cut(step)
        await arena.cloud.healthy()
        done.set()
        await posting
    finally:
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)
    named = count - at.pop(_ANY_MOMENT)
    arena.struck(lost > count * 0.9, f"unsynced bytes lost at each of {count} cuts, they were at {lost}")
    arena.struck(named >= count // 4, f"a quarter of {count} cuts at a named step, it were {named}")
    arena.note(f"{count} cuts, {named} of them at {len(at)} named steps")


async def _end_of_life(arena: Arena, rng: random.Random, step: tuple[Child, str] | None) -> str:
    """Waits until the life is to end: when a process died at `step`, or at any moment. Says which."""
    if step is not None:
        child, name = step
        try:
            async with asyncio.timeout(40.0):
                while child.running:
                    await asyncio.sleep(0.005)
            return name
        except TimeoutError:
            return _ANY_MOMENT  # that step was not taken in time
    await arena.cloud.healthy()
    await arena.device.healthy()
    await asyncio.sleep(rng.uniform(0.0, 4.0))
    return _ANY_MOMENT


async def _keep_posting(arena: Arena, done: asyncio.Event) -> None:
    while not done.is_set():
        await arena.post(3)


def _add(name: str, about: str, *, count: int, short: bool, device: bool = False, cloud: bool = False) -> None:
    add(
        Scenario(
            name,
            partial(_cuts, device=device, cloud=cloud, count=count),
            f"{count} power cuts of {about}: what was not synced is lost",
            device={"RECONNECT_DELAY": "1"},
            cloud={"MANUAL_TTL": "1200"},
            prepare=partial(_on_cards, device=device, cloud=cloud),
            proxied=False,
            short=short,
            within=300.0,
        )
    )


_add("power_lost_device", "the device", count=8, short=True, device=True)
_add("power_lost_cloud", "the cloud", count=8, short=True, cloud=True)
_add("power_lost_both", "device and cloud", count=40, short=False, device=True, cloud=True)
