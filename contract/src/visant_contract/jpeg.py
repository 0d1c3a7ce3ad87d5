"""The structure of a JPEG: where it ends, how large it is, and whether its parts are all there.

One reader for camera, uploader and cloud. Nothing is decoded: it walks the markers, which takes 0.3 ms for a picture of
1920x1080, and finds what is cut off, glued together or out of order. What is wrong inside the coded data it sees only
where restart markers count it; the camera decodes what it serves for that. Source: ITU-T T.81, annex B.
"""

import re
from dataclasses import dataclass, field

_SCAN_MARKER = re.compile(rb"\xff[^\x00\xff]")
"""Inside coded data: FF 00 is a byte of it, FF FF fills; anything else behind FF is a marker."""
_SOI, _EOI, _SOS, _DRI = 0xD8, 0xD9, 0xDA, 0xDD
_RESTARTS = range(0xD0, 0xD8)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..SOF15 without DHT, JPG, DAC
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_MOST_SEGMENTS = 10_000  # a picture has some ten; each costs whoever walks them more than its four bytes
_LOSSLESS = frozenset({0xC3, 0xC7, 0xCB, 0xCF})  # their unit is a sample and not a block: restarts are not counted


class NotAJpeg(ValueError):
    """The bytes do not begin as a JPEG does; the text says so in one line."""


class NotWhole(ValueError):
    """A JPEG with a part missing, or with one too many; the text says which, in one line."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """What the markers say. Sizes in pixels, as they are stored: EXIF may ask to turn the picture for the eye."""

    width: int
    height: int
    end: int
    """Bytes up to and with the end marker. What follows, padding, a maker's trailer or the second picture of an MPO, is
    no part of the picture, and no fault of it."""
    process: int = field(default=0, compare=False)
    """The marker of its frame, 0xC0 (baseline) to 0xCF: how it is coded (T.81, table B.1)."""
    scans: int = field(default=0, compare=False)
    blocks: int = field(default=0, compare=False)
    """Of 8x8 samples, of all colours together: what a decoder keeps, 128 bytes each, where there are several scans."""
    visits: int = field(default=0, compare=False)
    """Blocks that the scans go over, all told: a decoder's work, however few bytes code it."""


@dataclass(frozen=True, slots=True)
class _Frame:
    marker: int
    width: int
    height: int
    sampling: dict[int, tuple[int, int]]
    """Component -> (blocks across, blocks down) in one unit of an interleaved scan."""

    def units(self, components: list[int]) -> int:
        """Coded units of a scan over these components: what DRI counts (T.81, A.2)."""
        across = max(h for h, _ in self.sampling.values())
        down = max(v for _, v in self.sampling.values())
        if len(components) > 1:
            return _up(self.width, 8 * across) * _up(self.height, 8 * down)
        h, v = self.sampling[components[0]]
        return _up(_up(self.width * h, across), 8) * _up(_up(self.height * v, down), 8)

    def blocks(self, components: list[int]) -> int:
        """Of all units of a scan over these components."""
        inside = (h * v for h, v in (self.sampling[one] for one in components))
        return self.units(components) * (sum(inside) if len(components) > 1 else 1)


def read(data: bytes) -> Jpeg:
    """Walks `data` to its end marker. Raises NotAJpeg, NotWhole."""
    if not data.startswith(b"\xff\xd8\xff"):
        raise NotAJpeg("the bytes do not begin as a JPEG does (FF D8 FF)")
    frame: _Frame | None = None
    missing: set[int] = set()
    interval = segments = scans = visits = 0
    at = 2
    while True:
        marker, at = _marker(data, at)
        if marker == _EOI:
            break
        segments += 1
        if segments > _MOST_SEGMENTS:
            raise NotWhole(f"it has more than {_MOST_SEGMENTS} segments")
        body, at = _body(data, marker, at)
        if marker in _FRAMES:
            if frame is not None:
                raise NotWhole("a second picture's header is inside the first")
            frame = _frame(marker, body)
            missing = set(frame.sampling)
        elif marker == _DRI:
            if len(body) != 2:
                raise NotWhole("its restart interval is no number")
            interval = int.from_bytes(body, "big")
        elif marker == _SOS:
            if frame is None:
                raise NotWhole("picture data comes before the header with its size")
            components, first = _scan(frame, body)
            if not (frame.marker in _PROGRESSIVE and first):
                missing -= set(components)
            scans += 1
            visits += frame.blocks(components)
            at = _coded(data, at, frame, components, interval)
    if frame is None or missing:
        raise NotWhole("it ends before all of its picture data")
    return Jpeg(frame.width, frame.height, at, frame.marker, scans, frame.blocks([*frame.sampling]), visits)


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker at `at`, behind any fill bytes, and where it ends."""
    if at < len(data) and data[at] != 0xFF:
        raise NotWhole(f"byte {at} begins no segment")
    while at < len(data) and data[at] == 0xFF:
        at += 1
    if at >= len(data):
        raise NotWhole("it is cut off: its end marker (FF D9) is missing")
    return data[at], at + 1


def _body(data: bytes, marker: int, at: int) -> tuple[bytes, int]:
    """The content of the segment whose length stands at `at`, and where it ends."""
    if marker == _SOI:
        raise NotWhole("another picture begins before its end")
    if marker <= 0xBF or marker in _RESTARTS:  # T.81 gives them no segment
        raise NotWhole(f"marker FF {marker:02X} stands where a segment should")
    length = int.from_bytes(data[at : at + 2], "big")
    if at + 2 > len(data) or at + length > len(data):
        raise NotWhole("it is cut off inside its header")
    if length < 2:
        raise NotWhole(f"segment FF {marker:02X} has no length")
    return data[at + 2 : at + length], at + length


def _frame(marker: int, body: bytes) -> _Frame:
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise NotWhole("the header with its size is damaged")
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    sampling = {body[at]: (body[at + 1] >> 4, body[at + 1] & 15) for at in range(6, len(body), 3)}
    if not width or not height or not sampling or not all(1 <= h <= 4 and 1 <= v <= 4 for h, v in sampling.values()):
        raise NotWhole(f"it claims to be {width}x{height} pixels of {len(sampling)} colours")
    return _Frame(marker, width, height, sampling)


def _scan(frame: _Frame, body: bytes) -> tuple[list[int], int]:
    """(components of this scan, first coefficient)."""
    count = body[0] if body else 0
    components = [body[1 + 2 * place] for place in range(count)] if len(body) == 4 + 2 * count else []
    if not components or not set(components) <= set(frame.sampling):
        raise NotWhole("the header of its picture data is damaged")
    return components, body[1 + 2 * count]


def _coded(data: bytes, at: int, frame: _Frame, components: list[int], interval: int) -> int:
    """Where the coded data that begins at `at` ends; with an interval, restarts come in order, and all of them."""
    restarts = 0
    for found in _SCAN_MARKER.finditer(data, at):
        marker = data[found.start() + 1]
        if marker not in _RESTARTS:
            break
        if marker != 0xD0 + restarts % 8 or not interval:
            raise NotWhole("a part is missing between two restart markers")
        restarts += 1
    else:
        raise NotWhole("it is cut off: its end marker (FF D9) is missing")
    if interval and frame.marker not in _LOSSLESS:
        parts = _up(frame.units(components), interval)
        if restarts not in (parts - 1, parts):  # some encoders set one behind the last part, too
            raise NotWhole(f"it has {restarts + 1} of {parts} parts between restart markers")
    return found.start()


def _up(count: int, by: int) -> int:
    return -(-count // by)
