"""USB descriptors of the emulated webcam, built from one `Camera` description.

Layouts: USB Video Class 1.0 specification, chapter 3 (and "Motion-JPEG" / "Uncompressed" payload documents for the
format blocks). Descriptor lengths are computed, so a block that grows cannot disagree with its length byte.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

TERMINAL_OUT, TERMINAL_CAMERA, PROCESSING_UNIT = 2, 1, 3
VIDEO_ENDPOINT = 0x81
MAX_PAYLOAD = 16384
"""Bytes of one bulk transfer: what uvcvideo asks for at most (32 packets of 512 bytes)."""
MAX_JPEG = 1 << 20
YUYV_GUID = bytes.fromhex("5955593200001000800000aa00389b71")


@dataclass(frozen=True)
class Format:
    """One pixel format; `fourcc` is MJPG or YUYV, sizes are (width, height), fps the rates every size offers."""

    fourcc: str
    sizes: tuple[tuple[int, int], ...]
    fps: tuple[int, ...] = (30, 15)

    def frame_bytes(self, size: tuple[int, int]) -> int:
        return MAX_JPEG if self.fourcc == "MJPG" else size[0] * size[1] * 2


@dataclass(frozen=True)
class Camera:
    """What the emulated webcam claims to be."""

    product: str = "Rig Camera"
    serial: str = "RIG0001"
    formats: tuple[Format, ...] = (
        Format("MJPG", ((1280, 720), (640, 480))),
        Format("YUYV", ((320, 240),)),
    )

    @property
    def strings(self) -> tuple[str, ...]:
        return ("", "Visant Rig", self.product, self.serial)


def interval(fps: int) -> int:
    """A frame's length in units of 100 ns, as UVC counts."""
    return 10_000_000 // fps


def device(camera: Camera) -> bytes:
    """The device descriptor. The ids are the Linux Foundation's own, so that no vendor quirk applies."""
    ids = struct.pack("<HHH", 0x1D6B, 0x0102, 0x0100)
    return bytes([18, 1, 0, 2, 0xEF, 2, 1, 64]) + ids + bytes([1, 2, 3 if camera.serial else 0, 1])


def string(camera: Camera, index: int) -> bytes | None:
    if index == 0:
        return bytes([4, 3, 9, 4])  # one language: US English
    if index >= len(camera.strings):
        return None
    text = camera.strings[index].encode("utf-16le")
    return bytes([2 + len(text), 3]) + text


def configuration(camera: Camera) -> bytes:
    """The whole configuration: one function with a control and a streaming interface."""
    association = bytes([8, 11, 0, 2, 0x0E, 3, 0, 0])
    control = bytes([9, 4, 0, 0, 0, 0x0E, 1, 0, 0]) + _control_interface()
    streaming = bytes([9, 4, 1, 0, 1, 0x0E, 2, 0, 0]) + _streaming_interface(camera)
    endpoint = bytes([7, 5, VIDEO_ENDPOINT, 2]) + struct.pack("<HB", 512, 0)
    body = association + control + streaming + endpoint
    return bytes([9, 2]) + struct.pack("<HBBBBB", 9 + len(body), 2, 1, 0, 0x80, 250) + body


def _block(subtype: int, body: bytes) -> bytes:
    return bytes([3 + len(body), 0x24, subtype]) + body


def _control_interface() -> bytes:
    # Bits: auto exposure mode, exposure time, focus, focus auto.
    camera_controls = (1 << 1 | 1 << 3 | 1 << 5 | 1 << 17).to_bytes(3, "little")
    # Bits: brightness, contrast, saturation, sharpness, white balance, power line frequency, white balance auto.
    unit_controls = (1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 10 | 1 << 12).to_bytes(2, "little")
    camera = _block(2, struct.pack("<BHBBHHHB", TERMINAL_CAMERA, 0x0201, 0, 0, 0, 0, 0, 3) + camera_controls)
    unit = _block(5, struct.pack("<BBHB", PROCESSING_UNIT, TERMINAL_CAMERA, 0, 2) + unit_controls + b"\0")
    output = _block(3, struct.pack("<BHBBB", TERMINAL_OUT, 0x0101, 0, PROCESSING_UNIT, 0))
    blocks = camera + unit + output
    return _block(1, struct.pack("<HHIBB", 0x0100, 13 + len(blocks), 48_000_000, 1, 1)) + blocks


def _streaming_interface(camera: Camera) -> bytes:
    blocks = b"".join(_format(index, format) for index, format in enumerate(camera.formats, 1))
    count = len(camera.formats)
    head = struct.pack("<BHBBBBBBB", count, 13 + count + len(blocks), VIDEO_ENDPOINT, 0, TERMINAL_OUT, 0, 0, 0, 1)
    return _block(1, head + bytes(count)) + blocks


def _format(index: int, format: Format) -> bytes:
    count = len(format.sizes)
    if format.fourcc == "MJPG":
        head, frame_type = _block(6, bytes([index, count, 0, 1, 0, 0, 0, 0])), 7
    else:
        head, frame_type = _block(4, bytes([index, count]) + YUYV_GUID + bytes([16, 1, 0, 0, 0, 0])), 5
    frames = b"".join(_frame(frame_type, number, format, size) for number, size in enumerate(format.sizes, 1))
    colours = _block(0x0D, bytes([1, 1, 4]))
    return head + frames + colours


def _frame(subtype: int, number: int, format: Format, size: tuple[int, int]) -> bytes:
    width, height = size
    bits = width * height * 16
    rates = [interval(fps) for fps in format.fps]
    body = struct.pack("<BBHHII", number, 0, width, height, bits * min(format.fps), bits * max(format.fps))
    body += struct.pack("<IIB", format.frame_bytes(size), rates[0], len(rates))
    return _block(subtype, body + struct.pack(f"<{len(rates)}I", *rates))
