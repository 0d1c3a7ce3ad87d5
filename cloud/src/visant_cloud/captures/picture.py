"""A picture that was read, and why one could not be. The cloud's own processes never decode: decoding/ does."""

from dataclasses import dataclass

from visant_cloud.quality.block import Figures


class NotAPicture(ValueError):
    """The bytes are no JPEG at all."""


class BrokenPicture(ValueError):
    """A JPEG that cannot be decoded."""


class CostlyPicture(ValueError):
    """A JPEG that alone asks for more than a decoder may spend; the text says of what, in one line."""


@dataclass(frozen=True)
class Picture:
    """What was found in the bytes; width and height as a browser shows it."""

    jpeg: bytes
    width: int
    height: int
    sha256: str
    thumbnail: bytes
    figures: Figures | None = None
    """None: nobody measured it (a backup's, which has been judged)."""
