"""The part of Video4Linux2's binary interface that a webcam needs, as ctypes structures and ioctl numbers.

Source: the kernel's include/uapi/linux/videodev2.h, which user space may use freely (its licence carries the system
call exception) and which never changes incompatibly. The layout is that of 64-bit Linux, the same on arm64 and x86-64;
an ioctl number contains its structure's size, and a test compares the numbers with the published ones.
"""

import ctypes
import fcntl
from ctypes import c_char, c_int32, c_int64, c_long, c_uint8, c_uint32, c_uint64
from typing import TypeVar

Struct = TypeVar("Struct", bound=ctypes.Structure | c_int32)

# v4l2_buf_type, v4l2_memory, v4l2_frmsizetypes, v4l2_frmivaltypes
BUF_TYPE_VIDEO_CAPTURE = 1
MEMORY_MMAP = 1
FRAME_SIZE_DISCRETE = 1
FRAME_INTERVAL_DISCRETE = 1

# Capabilities of a node
CAP_VIDEO_CAPTURE = 0x0000_0001
CAP_STREAMING = 0x0400_0000
CAP_DEVICE_CAPS = 0x8000_0000

# Flags of a buffer
BUF_FLAG_ERROR = 0x0000_0040
BUF_FLAG_TIMESTAMP_MASK = 0x0000_E000
BUF_FLAG_TIMESTAMP_MONOTONIC = 0x0000_2000

# Types and flags of a control
CTRL_TYPE_INTEGER, CTRL_TYPE_BOOLEAN, CTRL_TYPE_MENU, CTRL_TYPE_BUTTON = 1, 2, 3, 4
CTRL_TYPE_INTEGER_MENU = 9
CTRL_FLAG_DISABLED = 0x0001
CTRL_FLAG_READ_ONLY = 0x0004
CTRL_FLAG_INACTIVE = 0x0010
CTRL_FLAG_NEXT = 0x8000_0000


class Capability(ctypes.Structure):
    _fields_ = [
        ("driver", c_char * 16),
        ("card", c_char * 32),
        ("bus_info", c_char * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),
        ("device_caps", c_uint32),
        ("reserved", c_uint32 * 3),
    ]


class FormatDescription(ctypes.Structure):
    _fields_ = [
        ("index", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("description", c_char * 32),
        ("pixelformat", c_uint32),
        ("mbus_code", c_uint32),
        ("reserved", c_uint32 * 3),
    ]


class FrameSize(ctypes.Structure):
    """`numbers`: discrete: width, height; else min, max, step of the width, then of the height."""

    _fields_ = [
        ("index", c_uint32),
        ("pixelformat", c_uint32),
        ("type", c_uint32),
        ("numbers", c_uint32 * 6),
        ("reserved", c_uint32 * 2),
    ]


class FrameInterval(ctypes.Structure):
    """`numbers`: numerator and denominator in seconds; else those of min, max, step."""

    _fields_ = [
        ("index", c_uint32),
        ("pixelformat", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("type", c_uint32),
        ("numbers", c_uint32 * 6),
        ("reserved", c_uint32 * 2),
    ]


class Format(ctypes.Structure):
    """v4l2_format with its pixel format part; the union is 200 bytes long and aligned to 8."""

    _fields_ = [
        ("type", c_uint32),
        ("_align", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("pixelformat", c_uint32),
        ("field", c_uint32),
        ("bytesperline", c_uint32),
        ("sizeimage", c_uint32),
        ("_rest", c_uint8 * 176),
    ]


class StreamParameters(ctypes.Structure):
    """v4l2_streamparm with its capture part: a frame lasts numerator / denominator seconds."""

    _fields_ = [
        ("type", c_uint32),
        ("capability", c_uint32),
        ("capturemode", c_uint32),
        ("numerator", c_uint32),
        ("denominator", c_uint32),
        ("_rest", c_uint8 * 184),
    ]


class RequestBuffers(ctypes.Structure):
    _fields_ = [
        ("count", c_uint32),
        ("type", c_uint32),
        ("memory", c_uint32),
        ("capabilities", c_uint32),
        ("flags", c_uint8),
        ("reserved", c_uint8 * 3),
    ]


class Buffer(ctypes.Structure):
    _fields_ = [
        ("index", c_uint32),
        ("type", c_uint32),
        ("bytesused", c_uint32),
        ("flags", c_uint32),
        ("field", c_uint32),
        ("seconds", c_long),
        ("microseconds", c_long),
        ("timecode", c_uint32 * 4),
        ("sequence", c_uint32),
        ("memory", c_uint32),
        ("offset", c_uint64),
        ("length", c_uint32),
        ("reserved2", c_uint32),
        ("request_fd", c_int32),
    ]


class ControlQuery(ctypes.Structure):
    """v4l2_query_ext_ctrl."""

    _fields_ = [
        ("id", c_uint32),
        ("type", c_uint32),
        ("name", c_char * 32),
        ("minimum", c_int64),
        ("maximum", c_int64),
        ("step", c_uint64),
        ("default_value", c_int64),
        ("flags", c_uint32),
        ("elem_size", c_uint32),
        ("elems", c_uint32),
        ("nr_of_dims", c_uint32),
        ("dims", c_uint32 * 4),
        ("reserved", c_uint32 * 32),
    ]


class MenuQuery(ctypes.Structure):
    """v4l2_querymenu; `text` is the name of a menu's line, or the number of an integer menu's in 8 bytes."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("id", c_uint32), ("index", c_uint32), ("text", c_uint8 * 32), ("reserved", c_uint32)]


class ControlValue(ctypes.Structure):
    _fields_ = [("id", c_uint32), ("value", c_int32)]


_READ, _WRITE = 2, 1


def _number(direction: int, number: int, structure: type[ctypes.Structure] | type[c_int32]) -> int:
    """asm-generic/ioctl.h: direction, size, the letter V, number."""
    return direction << 30 | ctypes.sizeof(structure) << 16 | ord("V") << 8 | number


QUERYCAP = _number(_READ, 0, Capability)
ENUM_FMT = _number(_READ | _WRITE, 2, FormatDescription)
G_FMT = _number(_READ | _WRITE, 4, Format)
S_FMT = _number(_READ | _WRITE, 5, Format)
REQBUFS = _number(_READ | _WRITE, 8, RequestBuffers)
QUERYBUF = _number(_READ | _WRITE, 9, Buffer)
QBUF = _number(_READ | _WRITE, 15, Buffer)
DQBUF = _number(_READ | _WRITE, 17, Buffer)
STREAMON = _number(_WRITE, 18, c_int32)
STREAMOFF = _number(_WRITE, 19, c_int32)
G_PARM = _number(_READ | _WRITE, 21, StreamParameters)
S_PARM = _number(_READ | _WRITE, 22, StreamParameters)
G_CTRL = _number(_READ | _WRITE, 27, ControlValue)
S_CTRL = _number(_READ | _WRITE, 28, ControlValue)
QUERYMENU = _number(_READ | _WRITE, 37, MenuQuery)
ENUM_FRAMESIZES = _number(_READ | _WRITE, 74, FrameSize)
ENUM_FRAMEINTERVALS = _number(_READ | _WRITE, 75, FrameInterval)
QUERY_EXT_CTRL = _number(_READ | _WRITE, 103, ControlQuery)


def call(descriptor: int, request: int, structure: Struct) -> Struct:
    """One ioctl; the kernel's answer is written into `structure`, which is returned. Raises OSError."""
    fcntl.ioctl(descriptor, request, structure)
    return structure


def fourcc(code: int) -> str:
    """The four letters of a pixel format, e.g. MJPG."""
    return code.to_bytes(4, "little").decode("ascii", "replace").strip()


def fourcc_code(name: str) -> int:
    return int.from_bytes(name.ljust(4).encode("ascii"), "little")
