"""Which share of damaged pictures the camera's check misses: `python -m tests.bench.jpeg_damage [COUNT]`.

Pictures of 1920x1080 with a sensor's noise, about 300 KB, with and without restart markers, COUNT of each kind of
damage to each. What is wrong outside the coded data is left out: markers show that.
"""

import random
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np

from tests.camera_rig.make_pictures import draw
from visant_camera.jpeg import Leftovers, check
from visant_contract.jpeg import read

SIZE = 1920, 1080
Damage = Callable[[bytes, bytes, int, random.Random], bytes]
"""(picture, another one, place in its coded data, chance) -> what becomes of it."""


def flipped(picture: bytes, place: int, bit: int) -> bytes:
    return picture[:place] + bytes([picture[place] ^ 1 << bit]) + picture[place + 1 :]


KINDS: dict[str, Damage] = {
    "a part of 1 to 50 % cut out": lambda jpeg, _, at, chance: (
        jpeg[:at] + jpeg[min(at + chance.randrange(len(jpeg) // 100, len(jpeg) // 2), len(jpeg) - 2) :]
    ),
    "a USB packet (512, 1024 or 3060 bytes) missing": lambda jpeg, _, at, chance: (
        jpeg[:at] + jpeg[at + chance.choice((512, 1024, 3060)) :]
    ),
    "512 bytes to 50 % zeroed": lambda jpeg, _, at, chance: zeroed(jpeg, at, chance.randrange(512, len(jpeg) // 2)),
    "the begin of one and the end of another": lambda jpeg, other, at, _: jpeg[:at] + other[at - len(jpeg) :],
    "one bit flipped": lambda jpeg, _, at, chance: flipped(jpeg, at, chance.randrange(8)),
}


def zeroed(jpeg: bytes, at: int, length: int) -> bytes:
    length = min(length, len(jpeg) - 2 - at)
    return jpeg[:at] + bytes(length) + jpeg[at + length :]


def pictures(restarts: int) -> list[bytes]:
    """Four, a restart marker behind each `restarts` blocks; 0: none."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 85, cv2.IMWRITE_JPEG_RST_INTERVAL, restarts]
    drawn = [cv2.imdecode(np.frombuffer(draw(*SIZE, number), np.uint8), cv2.IMREAD_COLOR) for number in range(4)]
    return [bytes(cv2.imencode(".jpg", one, options)[1]) for one in drawn if one is not None]


def passes(jpeg: bytes) -> tuple[bool, bool]:
    """(by its structure, decoded as well)."""
    try:
        read(jpeg)
    except ValueError:
        return False, False
    try:
        check(jpeg, *SIZE, Leftovers())
    except ValueError:
        return True, False
    return True, True


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    for name, restarts in (("without restart markers", 0), ("with one a row of blocks", SIZE[0] // 16)):
        chance = random.Random(1)
        some = pictures(restarts)
        began = time.perf_counter()
        for picture in some:
            assert passes(picture) == (True, True)
        print(f"{name}: {1000 * (time.perf_counter() - began) / len(some):.1f} ms a picture")
        for kind, damage in KINDS.items():
            found: list[tuple[bool, bool]] = []
            while len(found) < count:
                picture, other = chance.sample(some, 2)
                at = chance.randrange(picture.rindex(b"\xff\xda") + 14, len(picture) - 4000)
                spoilt = damage(picture, other, at, chance)
                if spoilt != picture:
                    found.append(passes(spoilt))
            structure, both = (sum(one[part] for one in found) for part in (0, 1))
            print(f"  {kind}: {both} of {count} missed; {structure} by the markers alone")


if __name__ == "__main__":
    main()
