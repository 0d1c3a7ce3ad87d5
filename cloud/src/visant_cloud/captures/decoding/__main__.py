"""A decoder: takes one picture after the other from its socket, which is standard input, and answers each.

It imports Pillow and none of the cloud's other libraries, and ends when its parent does.
"""

import ctypes
import io
import os
import resource
import signal
import socket
import sys
import time
from contextlib import suppress

from visant_cloud.captures.decoding import messages
from visant_cloud.captures.decoding.decode import MOST_MEMORY, decode
from visant_cloud.captures.picture import BrokenPicture, CostlyPicture, NotAPicture

_PR_SET_PDEATHSIG = 1
_MEMORY_BESIDE = 64 << 20
"""Bytes of address space beside what a picture may take: the picture itself, its EXIF, the allocator's waste."""
_LEAK = 32 << 20
"""Bytes that it may have grown by before it ends, between two pictures, for a new one."""
_NICE = 10
"""Pictures take what commands and streams leave of the cores: a device that sends costly ones delays pictures alone."""
_KINDS = {NotAPicture: messages.NOT_A_JPEG, BrokenPicture: messages.BROKEN, CostlyPicture: messages.COSTLY}


def main(seconds: int, most_bytes: int) -> int:
    """`seconds` of computing for each picture; the cloud counts them too, and this holds where it is gone.

    `most_bytes`: of a picture.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the parent, which lets pictures in progress finish
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")  # memory that runs out costs a decoder, which is replaced, and not the cloud
    os.nice(_NICE)
    _warm_up()
    os.dup2(1, 2)  # /dev/null: what is wrong with its start is written, what a picture may have it say is not
    base = _size()
    most = base + most_bytes + MOST_MEMORY + _MEMORY_BESIDE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for none_of_it in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC):
        resource.setrlimit(none_of_it, (0, 0))
    connection = socket.socket(fileno=0)
    while _size() < base + _LEAK:
        jpeg = _received(connection)
        if jpeg is None:
            break
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + seconds + 2, hard))
        connection.sendall(_answer(jpeg))
    return 0


def _received(connection: socket.socket) -> bytes | None:
    """The next picture; None where the cloud has gone."""
    head = connection.recv(messages.LENGTH.size, socket.MSG_WAITALL)
    if len(head) < messages.LENGTH.size:
        return None
    (length,) = messages.LENGTH.unpack(head)
    jpeg = connection.recv(length, socket.MSG_WAITALL) if length else b""
    return jpeg if len(jpeg) == length else None


def _answer(jpeg: bytes) -> bytes:
    try:
        found = decode(jpeg)
    except MemoryError:
        return messages.HEAD.pack(messages.NO_MEMORY, 0, 0, 0)
    except (NotAPicture, BrokenPicture, CostlyPicture) as error:
        words = str(error).partition("\n")[0].encode(errors="replace")[: messages.WORDS_MOST]
        return messages.HEAD.pack(_KINDS[type(error)], 0, 0, len(words)) + words
    head = messages.HEAD.pack(messages.DECODED, found.width, found.height, len(found.thumbnail))
    return head + found.figures + found.thumbnail


def _warm_up() -> None:
    """Reads a picture with EXIF, so that all is loaded and allocated before it is measured and bounded."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    small = io.BytesIO()
    Image.new("RGB", (16, 16)).save(small, "JPEG", exif=exif, progressive=True)
    decode(small.getvalue())


def _size() -> int:
    """Bytes of address space (proc(5), statm)."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
