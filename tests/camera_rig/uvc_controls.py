"""Control requests of the emulated webcam: picture controls, and the negotiation of format, size and rate.

A request is answered with bytes, or with None, which stalls the endpoint as a real camera does for what it lacks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tests.camera_rig import uvc_descriptors as descriptors
from tests.camera_rig.uvc_descriptors import PROCESSING_UNIT, TERMINAL_CAMERA, Camera, Format

SET_CUR, GET_CUR, GET_MIN, GET_MAX, GET_RES, GET_LEN, GET_INFO, GET_DEF = 1, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87
PROBE, COMMIT = 1, 2
PROBE_LAYOUT = "<HBBIHHHHHII"


@dataclass
class Control:
    """One control: its name for the tests, its width in bytes (signed when `minimum` is below zero), its range."""

    name: str
    width: int
    minimum: int
    maximum: int
    default: int
    step: int = 1
    value: int = 0
    broken: bool = False
    """Its current value cannot be read, as with some cameras' firmware."""

    def __post_init__(self) -> None:
        self.value = self.default

    def answer(self, request: int) -> bytes | None:
        if request == GET_LEN:
            return self.width.to_bytes(2, "little")
        if request == GET_INFO:
            return b"\x03"  # can be read, can be set
        if self.broken and request == GET_CUR:
            return None
        number = {
            GET_CUR: self.value,
            GET_MIN: self.minimum,
            GET_MAX: self.maximum,
            GET_RES: self.step,
            GET_DEF: self.default,
        }.get(request)
        return None if number is None else number.to_bytes(self.width, "little", signed=self.minimum < 0)

    def set(self, data: bytes) -> None:
        self.value = int.from_bytes(data[: self.width], "little", signed=self.minimum < 0)


def picture_controls() -> dict[tuple[int, int], Control]:
    """(unit, selector) -> control; selectors from tables A-12 and A-13 of the specification."""
    return {
        # A bit set: 1 manual, 2 auto, 4 shutter priority, 8 aperture priority; `step` tells which exist.
        (TERMINAL_CAMERA, 0x02): Control("exposure_mode", 1, 1, 8, 8, step=1 | 8),
        (TERMINAL_CAMERA, 0x04): Control("exposure_time", 4, 1, 5000, 156),
        (TERMINAL_CAMERA, 0x06): Control("focus", 2, 0, 250, 30, step=5),
        (TERMINAL_CAMERA, 0x08): Control("focus_auto", 1, 0, 1, 1),
        (PROCESSING_UNIT, 0x02): Control("brightness", 2, -64, 64, 0),
        (PROCESSING_UNIT, 0x03): Control("contrast", 2, 0, 95, 32),
        (PROCESSING_UNIT, 0x05): Control("power_line_frequency", 1, 0, 2, 1),
        (PROCESSING_UNIT, 0x07): Control("saturation", 2, 0, 128, 64),
        (PROCESSING_UNIT, 0x08): Control("sharpness", 2, 0, 7, 3),
        (PROCESSING_UNIT, 0x0A): Control("white_balance", 2, 2800, 6500, 4600, step=10),
        (PROCESSING_UNIT, 0x0B): Control("white_balance_auto", 1, 0, 1, 1),
    }


class Requests:
    """Answers everything that arrives on endpoint 0, and knows what was negotiated."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.controls = picture_controls()
        self.format_index = 1
        self.frame_index = 1
        self.interval = descriptors.interval(camera.formats[0].fps[0])
        self.starts = 0
        """Counts the starts of the stream; a frame belongs to one of them."""

    @property
    def format(self) -> Format:
        return self.camera.formats[self.format_index - 1]

    @property
    def size(self) -> tuple[int, int]:
        return self.format.sizes[self.frame_index - 1]

    def answer(self, setup: bytes, data: bytes) -> bytes | None:
        """`setup` is the 8-byte request, `data` what the host sends with it."""
        kind, request, value, index, _ = struct.unpack("<BBHHH", setup)
        if kind in (0x00, 0x01, 0x02):  # address, configuration, interface, clear halt: nothing to do here
            return b""
        if kind == 0x80 and request == 6:
            return self._descriptor(value >> 8, value & 0xFF)
        if kind in (0x80, 0x81, 0x82) and request == 0:
            return b"\0\0"
        if kind == 0x81 and request == 10:
            return b"\0"
        if kind not in (0x21, 0xA1):
            return None
        unit, interface, selector = index >> 8, index & 0xFF, value >> 8
        if interface == 1:
            return self._negotiate(request, selector, data) if selector in (PROBE, COMMIT) else None
        control = self.controls.get((unit, selector))
        if control is None:
            return None
        if request == SET_CUR:
            control.set(data)
            return b""
        return control.answer(request)

    def _descriptor(self, kind: int, index: int) -> bytes | None:
        if kind == 1:
            return descriptors.device(self.camera)
        if kind == 2:
            return descriptors.configuration(self.camera)
        return descriptors.string(self.camera, index) if kind == 3 else None

    def _negotiate(self, request: int, selector: int, data: bytes) -> bytes | None:
        if request == SET_CUR:
            self.starts += selector == COMMIT
            _, format_index, frame_index, interval = struct.unpack_from("<HBBI", data)
            self.format_index = min(max(format_index, 1), len(self.camera.formats))
            self.frame_index = min(max(frame_index, 1), len(self.format.sizes))
            offered = [descriptors.interval(fps) for fps in self.format.fps]
            self.interval = min(offered, key=lambda one: abs(one - interval))
            return b""
        if request == GET_LEN:
            return struct.pack("<H", struct.calcsize(PROBE_LAYOUT))
        if request == GET_INFO:
            return b"\x03"
        size = self.format.frame_bytes(self.size)
        chosen = (0, self.format_index, self.frame_index, self.interval, 0, 0, 0, 0, 0, size, descriptors.MAX_PAYLOAD)
        return struct.pack(PROBE_LAYOUT, *chosen)
