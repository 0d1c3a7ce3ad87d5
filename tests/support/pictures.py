"""What tests look at in a picture."""

from PIL import Image


def pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    """The channels of one pixel, of an image that has several."""
    found = image.getpixel((x, y))
    assert isinstance(found, tuple)
    return found
