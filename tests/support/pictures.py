"""What tests look at in a picture, and pictures for those who look at none."""

import io

from PIL import Image


def pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    """The channels of one pixel, of an image that has several."""
    found = image.getpixel((x, y))
    assert isinstance(found, tuple)
    return found


def room(size: tuple[int, int] = (1920, 1080)) -> bytes:
    """A JPEG with about as much detail as a room has: some 300 kB at 1920x1080."""
    noise = Image.effect_noise((size[0] // 20, size[1] // 20), 80).resize(size, Image.Resampling.BICUBIC)
    colours = Image.merge("RGB", [noise, noise.transpose(Image.Transpose.FLIP_LEFT_RIGHT), noise.rotate(180)])
    out = io.BytesIO()
    colours.save(out, "JPEG", quality=90)
    return out.getvalue()


def bare_jpeg(text: bytes, coded: bytes = b"x" * 64, size: tuple[int, int] = (640, 480)) -> bytes:
    """A JPEG by its structure, with `text` as its comment; its coded data shows nothing. For peers that decode none."""
    width, height = size

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body

    frame = b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x01\x01\x11\x00"
    scan = b"\x01\x01\x00\x00\x3f\x00"
    head = b"\xff\xd8" + segment(0xFE, text) + segment(0xC0, frame) + segment(0xDA, scan)
    return head + coded.replace(b"\xff", b"\xff\0") + b"\xff\xd9"
