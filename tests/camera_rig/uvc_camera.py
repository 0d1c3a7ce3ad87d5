"""A USB webcam in software: speaks USB/IP on a socket that the kernel's vhci_hcd holds the other end of.

Runs as a process of its own (`python -m tests.camera_rig.uvc_camera ...`), so that a busy test cannot slow its clock.
The process that plugs it in steers it over a second socket, one JSON object a line:

    {"fault": "stall", "seconds": 5}        nothing is sent for so long
    {"fault": "truncate", "frames": 10}     the second half of the frame is missing, the camera does not say so
    {"fault": "headless", "frames": 10}     the first bytes are missing
    {"fault": "flag_error", "frames": 10}   half a frame, marked as faulty in the payload header
    {"fault": "hollow", "frames": 10}       a tenth is missing from the middle; both ends are there
    {"fault": "glue", "frames": 10}         the first half of the frame, then all of it
    {"fault": "freeze", "seconds": 5}       the frame before once more, byte for byte; its time on the wire is new
    {"fault": "dark", "frames": 90}         a black picture, each time the same
    {"fault": "trailer", "frames": 10}      a maker's own bytes behind the end marker
    {"fault": "small", "frames": 10}        a picture of 640x480, whatever was negotiated
    {"fault": "mute", "seconds": 5}         questions about controls get no answer for so long
    {}                                      nothing; every line is answered with the camera's state

USB/IP: Documentation/usb/usbip_protocol.rst of the kernel; only the messages that follow the import are needed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import queue
import random
import socket
import struct
import threading
import time
from collections import deque
from pathlib import Path

from tests.camera_rig.stamps import stamped_jpeg, stamped_yuyv
from tests.camera_rig.uvc_controls import Requests
from tests.camera_rig.uvc_descriptors import MAX_PAYLOAD, Camera, Format

SUBMIT, UNLINK, SUBMITTED, UNLINKED = 1, 2, 3, 4
EPIPE, ECONNRESET = -32, -104
FRAME_ID, END_OF_FRAME, HAS_TIMES, PAYLOAD_ERROR, END_OF_HEADER = 0x01, 0x02, 0x0C, 0x40, 0x80
HEADER_BYTES = 12


class Unplugged(Exception):
    """The kernel closed its end."""


class Cable:
    """The USB/IP socket. Answers what the host asks; holds its requests for video until there is some."""

    def __init__(self, link: socket.socket, requests: Requests) -> None:
        self._link = link
        self._requests = requests
        self._waiting: deque[int] = deque()
        self._changed = threading.Condition()
        self._unplugged = False
        self._unanswered: set[int] = set()
        self.mute_until = 0.0

    def serve(self) -> None:
        """Reads until the host unplugs."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                header = self._read(48)
                command, number, _, direction, endpoint = struct.unpack(">5I", header[:20])
                if command == SUBMIT:
                    (length,) = struct.unpack(">I", header[24:28])
                    data = self._read(length) if direction == 0 else b""
                    self._submitted(number, endpoint, direction, length, header[40:48], data)
                elif command == UNLINK:
                    self._unlinked(number, struct.unpack(">I", header[20:24])[0])
        with self._changed:
            self._unplugged = True
            self._changed.notify_all()

    def wait_until_wanted(self) -> None:
        """Blocks until the host asks for video; raises Unplugged."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._unplugged)
            if self._unplugged:
                raise Unplugged

    def stay_silent(self, seconds: float) -> None:
        """Passes the time; raises Unplugged when the host unplugs meanwhile."""
        with self._changed:
            if self._changed.wait_for(lambda: self._unplugged, seconds):
                raise Unplugged

    def send_video(self, start: int, payload: bytes) -> bool:
        """Answers the host's oldest request for video; False when the stream was stopped meanwhile.

        `start`: the start of the stream that this belongs to. What is left of a frame when the stream stops is for
        nobody, least of all for the next stream.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting or self._unplugged, timeout=0.5):
                return False
            if self._unplugged:
                raise Unplugged
            if self._requests.starts != start:
                return False
            self._answer(self._waiting.popleft(), 0, payload, len(payload))
            return True

    def _submitted(self, number: int, endpoint: int, direction: int, length: int, setup: bytes, data: bytes) -> None:
        if endpoint != 0:
            with self._changed:
                self._waiting.append(number)
                self._changed.notify_all()
            return
        if setup[0] in (0x21, 0xA1) and setup[4] != 1 and time.monotonic() < self.mute_until:  # not the stream's own
            self._unanswered.add(number)
            return
        reply = self._requests.answer(setup, data)
        with self._changed:
            if reply is None:
                self._answer(number, EPIPE, b"", 0)
            elif direction == 0:
                self._answer(number, 0, b"", length)
            else:
                self._answer(number, 0, reply[:length], len(reply[:length]))

    def _unlinked(self, number: int, victim: int) -> None:
        with self._changed:
            found = victim in self._waiting or victim in self._unanswered
            self._unanswered.discard(victim)
            if victim in self._waiting:
                self._waiting.remove(victim)
            self._link.sendall(struct.pack(">5Ii24x", UNLINKED, number, 0, 0, 0, ECONNRESET if found else 0))

    def _answer(self, number: int, status: int, data: bytes, length: int) -> None:
        try:
            self._link.sendall(struct.pack(">5Iii3I8x", SUBMITTED, number, 0, 0, 0, status, length, 0, 0, 0) + data)
        except OSError as error:
            raise Unplugged from error

    def _read(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self._link.recv(count - len(parts))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)


class Sensor:
    """Exposes frames on its own clock while the host wants video, and spoils those it was told to spoil."""

    def __init__(
        self,
        cable: Cable,
        requests: Requests,
        pictures: Path,
        exposure: float,
        real: tuple[float, float] | None,
        first_frame: float,
    ) -> None:
        self._cable = cable
        self._requests = requests
        self._jpegs = {
            size: [path.read_bytes() for path in sorted((pictures / f"{size[0]}x{size[1]}").glob("*.jpg"))]
            for format in requests.camera.formats
            if format.fourcc == "MJPG"
            for size in format.sizes
        }
        self._dark = {size: (pictures / f"dark_{size[0]}x{size[1]}.jpeg").read_bytes() for size in self._jpegs}
        self._exposure = exposure
        self._real = real
        self._first_frame = first_frame
        self._chance = random.Random(1)
        self._exposed: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._sending = False
        self._first_byte = threading.Event()
        self._first_byte_ns = 0
        self._sent = b""
        self._frame_id = 0
        self._faults: deque[str] = deque()
        self._stall = 0.0
        self._frozen_until = 0.0
        self._started = 0
        self.sequence = 0

    def fault(self, name: str, frames: int, seconds: float) -> None:
        if name == "stall":
            self._stall = seconds
        elif name == "freeze":
            self._frozen_until = time.monotonic() + seconds
        elif name == "mute":
            self._cable.mute_until = time.monotonic() + seconds
        else:
            self._faults.extend([name] * frames)

    def run(self) -> None:
        """Until it is unplugged."""
        if self._real:
            self._expose_all_the_time(*self._real)
        else:
            self._expose_on_the_beat()

    def _expose_all_the_time(self, shortest: float, longest: float) -> None:
        """One exposure begins where the other ends, as at night; a frame is sent while the next is exposed.

        It ends when its first byte goes out: how long threads take to wake here is no property of a camera.
        """
        threading.Thread(target=self._send_exposed, daemon=True).start()
        with contextlib.suppress(Unplugged):
            while True:
                self._wait_until_wanted()
                begin = time.monotonic_ns()
                starts = self._requests.starts
                while starts == self._requests.starts:
                    self._cable.stay_silent(self._chance.uniform(shortest, longest))
                    if self._sending:  # the host is too slow: a sensor waits for nobody, the frame is lost
                        begin = time.monotonic_ns()
                        continue
                    self._sending = True
                    self._first_byte.clear()
                    self._exposed.put(begin)
                    self._first_byte.wait()
                    begin = self._first_byte_ns

    def _send_exposed(self) -> None:
        with contextlib.suppress(Unplugged):
            while True:
                self._send_frame(self._exposed.get())
                self._sending = False

    def _wait_until_wanted(self) -> None:
        """And as long as this camera takes to start."""
        self._cable.wait_until_wanted()
        if self._first_frame and self._started != self._requests.starts:
            self._started = self._requests.starts
            self._cable.stay_silent(self._first_frame)
            self._cable.wait_until_wanted()

    def _expose_on_the_beat(self) -> None:
        due = time.monotonic()
        with contextlib.suppress(Unplugged):
            while True:
                self._wait_until_wanted()
                interval = self._requests.interval / 1e7
                now = time.monotonic()
                # A late frame is skipped, not caught up: a sensor's clock does not wait for its host.
                due += interval * max(1, 1 + (now - due) // interval)
                time.sleep(max(0.0, due - now))
                if self._stall:
                    self._cable.stay_silent(self._stall)
                    self._stall = 0.0
                    continue
                exposed_ns = time.monotonic_ns()
                time.sleep(self._exposure)
                self._send_frame(exposed_ns)

    def _spoilt(self, data: bytes, fault: str) -> bytes:
        half, piece = len(data) // 2, len(data) // 10
        if fault in ("truncate", "flag_error"):
            return data[:half]
        if fault == "headless":
            return data[64:]
        if fault == "hollow":
            return data[:half] + data[half + piece :]
        if fault == "glue":
            return data[:half] + data
        if fault == "freeze":
            return self._sent
        if fault == "dark":
            return self._dark[self._requests.size]
        return data + b"maker's own" * 100 if fault == "trailer" else data

    def _send_frame(self, exposed_ns: int) -> None:
        fault = self._faults.popleft() if self._faults else ""
        if time.monotonic() < self._frozen_until:
            fault = "freeze"
        self._sent = data = self._spoilt(self._picture(exposed_ns, small=fault == "small"), fault)
        clock = exposed_ns // 1000 * 48 & 0xFFFFFFFF
        step = MAX_PAYLOAD - HEADER_BYTES
        starts = self._requests.starts
        self._first_byte_ns = time.monotonic_ns()
        self._first_byte.set()
        for start in range(0, len(data), step):
            flags = END_OF_HEADER | HAS_TIMES | self._frame_id
            if start + step >= len(data):
                flags |= END_OF_FRAME | (PAYLOAD_ERROR if fault == "flag_error" else 0)
            header = struct.pack("<BBIIH", HEADER_BYTES, flags, clock, clock, exposed_ns // 1_000_000 & 0x7FF)
            if not self._cable.send_video(starts, header + data[start : start + step]):
                break
        self._frame_id ^= 1
        self.sequence += 1

    def _picture(self, exposed_ns: int, *, small: bool) -> bytes:
        size = (640, 480) if small else self._requests.size
        if self._requests.format.fourcc == "YUYV":
            return stamped_yuyv(*size, self.sequence, exposed_ns)
        jpegs = self._jpegs[size]
        return stamped_jpeg(jpegs[self.sequence % len(jpegs)], self.sequence, exposed_ns)


def obey(steering: socket.socket, sensor: Sensor, requests: Requests) -> None:
    """Takes orders until the other end closes."""
    with steering.makefile("rw", encoding="utf-8") as lines:
        for line in lines:
            order = json.loads(line)
            if order:
                sensor.fault(order["fault"], order.get("frames", 1), order.get("seconds", 0.0))
            state = {
                "sequence": sensor.sequence,
                "size": requests.size,
                "fourcc": requests.format.fourcc,
                "interval": requests.interval,
                "controls": {control.name: control.value for control in requests.controls.values()},
            }
            lines.write(json.dumps(state) + "\n")
            lines.flush()


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--link-fd", type=int, required=True)
    options.add_argument("--steering-fd", type=int, required=True)
    options.add_argument("--pictures", type=Path, required=True)
    options.add_argument("--product", default=Camera.product)
    options.add_argument("--serial", default=Camera.serial)
    options.add_argument("--only-yuyv", action="store_true")
    options.add_argument("--broken-control", help="name of a control whose value cannot be read")
    options.add_argument("--exposure", type=float, default=0.0, help="seconds between start of exposure and first byte")
    options.add_argument(
        "--real",
        type=float,
        nargs=2,
        metavar=("SHORTEST", "LONGEST"),
        help="seconds that each frame is exposed, one right behind the other, whatever rate was negotiated",
    )
    options.add_argument("--first-frame", type=float, default=0.0, help="seconds of silence at each start")
    chosen = options.parse_args()
    formats = (Format("YUYV", ((320, 240),)),) if chosen.only_yuyv else Camera.formats
    requests = Requests(Camera(chosen.product, chosen.serial, formats))
    for control in requests.controls.values():
        control.broken = control.name == chosen.broken_control
    cable = Cable(socket.socket(fileno=chosen.link_fd), requests)
    real = tuple(chosen.real) if chosen.real else None
    sensor = Sensor(cable, requests, chosen.pictures, chosen.exposure, real, chosen.first_frame)
    steering = socket.socket(fileno=chosen.steering_fd)
    threading.Thread(target=obey, args=(steering, sensor, requests), daemon=True).start()
    threading.Thread(target=cable.serve, daemon=True).start()
    sensor.run()


if __name__ == "__main__":
    main()
