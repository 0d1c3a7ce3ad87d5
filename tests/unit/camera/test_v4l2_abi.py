"""The structures against numbers that others published: an ioctl's number contains the size of its structure."""

import ctypes

import pytest

from visant_camera.drivers.v4l2 import abi

# As strace and the kernel's documentation show them on 64-bit machines.
PUBLISHED = {
    "QUERYCAP": 0x80685600,
    "ENUM_FMT": 0xC0405602,
    "G_FMT": 0xC0D05604,
    "S_FMT": 0xC0D05605,
    "REQBUFS": 0xC0145608,
    "QUERYBUF": 0xC0585609,
    "QBUF": 0xC058560F,
    "DQBUF": 0xC0585611,
    "STREAMON": 0x40045612,
    "STREAMOFF": 0x40045613,
    "G_PARM": 0xC0CC5615,
    "S_PARM": 0xC0CC5616,
    "G_CTRL": 0xC008561B,
    "S_CTRL": 0xC008561C,
    "QUERYMENU": 0xC02C5625,
    "ENUM_FRAMESIZES": 0xC02C564A,
    "ENUM_FRAMEINTERVALS": 0xC034564B,
    "QUERY_EXT_CTRL": 0xC0E85667,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_ioctl_has_its_published_number(name: str) -> None:
    assert getattr(abi, name) == PUBLISHED[name]


def test_fields_after_a_hole_lie_where_the_kernel_puts_them() -> None:
    assert (abi.Buffer.seconds.offset, abi.Buffer.sequence.offset, abi.Buffer.length.offset) == (24, 56, 72)
    assert abi.Format.width.offset == 8
    assert abi.StreamParameters.numerator.offset == 12
    assert abi.ControlQuery.minimum.offset == 40
    assert ctypes.sizeof(abi.MenuQuery) == 44


def test_four_letters_survive_the_way_to_a_number_and_back() -> None:
    assert abi.fourcc_code("MJPG") == 0x47504A4D
    assert [abi.fourcc(abi.fourcc_code(name)) for name in ("YUYV", "Y16")] == ["YUYV", "Y16"]
