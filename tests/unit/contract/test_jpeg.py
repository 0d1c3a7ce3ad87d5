"""The structure of a JPEG: what is whole, where it ends, how large it is."""

import contextlib
import io
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.not_none import not_none
from visant_contract.jpeg import Jpeg, NotAJpeg, NotWhole, read

NOISE = np.random.default_rng(1).integers(0, 256, (93, 131, 3), np.uint8)


def drawn(kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, kind, **options)
    return file.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def with_thumbnail() -> bytes:
    """EXIF that holds a whole JPEG of its own, as cameras write it."""
    thumbnail = io.BytesIO()
    Image.fromarray(NOISE[:16, :16]).save(thumbnail, "JPEG")
    return PLAIN[:2] + segment(0xE1, b"Exif\0\0" + thumbnail.getvalue()) + PLAIN[2:]


def as_mpo() -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(NOISE)
    image.save(file, "MPO", save_all=True, append_images=[image])
    return file.getvalue()


PLAIN = drawn()
KINDS = {
    "plain": PLAIN,
    "progressive": drawn(progressive=True),
    "full colour": drawn(subsampling=0),
    "4:2:2": drawn(subsampling=1),
    "restarts by rows": drawn(restart_marker_rows=1),
    "restarts by blocks": drawn(restart_marker_blocks=3),
    "progressive with restarts": drawn(progressive=True, restart_marker_blocks=5),
    "a thumbnail in EXIF": with_thumbnail(),
    "a comment with an end marker": PLAIN[:2] + segment(0xFE, b"\xff\xd9 \xff\xd8 \xff\xda") + PLAIN[2:],
}
RESTARTS = [KINDS["restarts by rows"], KINDS["restarts by blocks"], KINDS["progressive with restarts"]]
SIZE = b"\x08" + (480).to_bytes(2, "big") + (1280).to_bytes(2, "big") + b"\1\1\x11\0"
"""A frame header's content: bits a sample, height, width, one colour."""
SCAN = segment(0xDA, b"\1\1\0\0\x3f\0") + b"coded"
END = b"\xff\xd9"


@pytest.mark.parametrize("jpeg", KINDS.values(), ids=KINDS.keys())
def test_every_kind_that_cameras_write_is_whole(jpeg: bytes) -> None:
    assert read(jpeg) == Jpeg(131, 93, len(jpeg))


@pytest.mark.parametrize("jpeg", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("trailer", [bytes(512), b"maker's own", PLAIN, b"\xff\xd8\xff cut", b"\xff" * 40])
def test_what_follows_the_end_is_no_part_of_the_picture_and_no_fault(jpeg: bytes, trailer: bytes) -> None:
    assert read(jpeg + trailer).end == len(jpeg)


def test_of_several_pictures_in_one_file_the_first_is_read() -> None:
    mpo = as_mpo()
    first = mpo[: read(mpo).end]
    assert mpo[len(first) :].startswith(b"\xff\xd8")
    assert Image.open(io.BytesIO(first)).size == (131, 93)


@given(st.sampled_from(list(KINDS.values())), st.data())
def test_what_is_cut_off_anywhere_is_not_whole(jpeg: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(jpeg) - 1))
    with pytest.raises((NotAJpeg, NotWhole)):
        read(jpeg[:at])


def coded_part(jpeg: bytes) -> tuple[int, int]:
    """From the first byte of the first scan to its last."""
    found = not_none(re.search(rb"\xff\xda\0[\x08\x0a\x0c]", jpeg))
    begin = found.start() + 2 + int.from_bytes(jpeg[found.start() + 2 : found.start() + 4], "big")
    return begin, not_none(re.compile(rb"\xff[^\0\xd0-\xd7]").search(jpeg, begin)).start()


MARKERS_IN_WORDS = {"a thumbnail in EXIF", "a comment with an end marker"}
"""A cut in a header that holds markers may leave the second picture whole, or reach to what looks like an end."""
SIMPLE = sorted(KINDS.keys() - MARKERS_IN_WORDS)


@given(st.sampled_from(SIMPLE), st.sampled_from(SIMPLE), st.integers(0, 1 << 20))
def test_a_frame_cut_off_in_its_data_with_another_glued_to_it_is_not_whole(first: str, second: str, place: int) -> None:
    cut = KINDS[first]
    begin, _ = coded_part(cut)
    at = begin + place % (len(cut) - 1 - begin)
    with pytest.raises(NotWhole):
        read(cut[:at] + KINDS[second])


@given(st.sampled_from(RESTARTS), st.data())
def test_with_restart_markers_a_missing_part_is_seen(jpeg: bytes, data: st.DataObject) -> None:
    begin, end = coded_part(jpeg)
    marks = [found.start() for found in re.finditer(rb"\xff[\xd0-\xd7]", jpeg[begin:end])]
    first = data.draw(st.integers(0, len(marks) - 2))
    last = data.draw(st.integers(first + 1, min(len(marks) - 1, first + 7)))
    cut_at = begin + data.draw(st.integers(marks[first] + 2, marks[first + 1]))
    go_on = begin + data.draw(st.integers(marks[last], marks[last] + 2))
    whole_part_missing = jpeg[begin + marks[first] : begin + marks[last]]
    assert whole_part_missing
    with pytest.raises(NotWhole):
        read(jpeg[: begin + marks[first]] + jpeg[begin + marks[last] :])
    if go_on > cut_at and re.search(rb"\xff[\xd0-\xd7]", jpeg[cut_at:go_on]):
        with pytest.raises(NotWhole):
            read(jpeg[:cut_at] + jpeg[go_on:])


def test_with_restart_markers_eight_missing_parts_are_seen_too() -> None:
    jpeg = KINDS["restarts by blocks"]
    begin, end = coded_part(jpeg)
    marks = [begin + found.start() for found in re.finditer(rb"\xff[\xd0-\xd7]", jpeg[begin:end])]
    assert jpeg[marks[0] : marks[0] + 2] == jpeg[marks[8] : marks[8] + 2]
    with pytest.raises(NotWhole, match=r"of \d+ parts"):
        read(jpeg[: marks[0]] + jpeg[marks[8] :])


def test_restart_markers_that_nobody_announced_are_not_whole() -> None:
    begin, end = coded_part(PLAIN)
    middle = (begin + end) // 2
    while PLAIN[middle - 1] == 0xFF:
        middle += 1
    with pytest.raises(NotWhole, match="restart markers"):
        read(PLAIN[:middle] + b"\xff\xd0" + PLAIN[middle:])


def test_a_restart_marker_behind_the_last_part_is_no_fault() -> None:
    jpeg = KINDS["restarts by rows"]
    count = len(re.findall(rb"\xff[\xd0-\xd7]", jpeg[slice(*coded_part(jpeg))]))
    assert read(jpeg[:-2] + bytes([0xFF, 0xD0 + count % 8]) + END).width == 131


@given(st.binary(max_size=3000))
def test_any_bytes_are_refused_in_words_or_read(data: bytes) -> None:
    for candidate in (data, b"\xff\xd8\xff" + data + END, PLAIN[:600] + data + END):
        with contextlib.suppress(NotAJpeg, NotWhole):
            assert candidate[: read(candidate).end].endswith(END)


@given(st.data())
def test_one_byte_that_is_wrong_raises_nothing_else(data: st.DataObject) -> None:
    jpeg = bytearray(data.draw(st.sampled_from(list(KINDS.values()))))
    jpeg[data.draw(st.integers(0, min(len(jpeg), 900) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(NotAJpeg, NotWhole):
        read(bytes(jpeg))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"GIF89a", PLAIN[1:], b"\0" + PLAIN])
def test_what_does_not_begin_as_a_jpeg_is_none(data: bytes) -> None:
    with pytest.raises(NotAJpeg):
        read(data)


@pytest.mark.parametrize("marker", range(0xC0, 0xD0))
def test_each_way_of_coding_has_the_size_and_the_tables_among_them_have_none(marker: int) -> None:
    jpeg = b"\xff\xd8" + segment(marker, SIZE) + SCAN + END
    if marker in (0xC4, 0xC8, 0xCC):
        with pytest.raises(NotWhole, match="before the header"):
            read(jpeg)
    else:
        assert read(jpeg) == Jpeg(1280, 480, len(jpeg))


@pytest.mark.parametrize("fill", [0, 1, 2, 5])
def test_segments_of_any_length_and_fill_bytes_are_passed_over(fill: int) -> None:
    for length in (0, 1, 253, 254, 255, 256, 65533):
        head = segment(0xE0, bytes(length)) + b"\xff" * fill + segment(0xC2, SIZE)
        assert read(b"\xff\xd8" + head + b"\xff" * fill + SCAN + b"\xff" * fill + END).width == 1280


def test_stuffed_bytes_and_fill_bytes_in_coded_data_end_nothing() -> None:
    jpeg = b"\xff\xd8" + segment(0xC0, SIZE) + SCAN + b"\xff\0\xff\xff\0\xff\xff\xff" + END
    assert read(jpeg).end == len(jpeg)


@pytest.mark.parametrize(
    ("middle", "why"),
    [
        (segment(0xC0, SIZE), "ends before all"),
        (SCAN, "before the header"),
        (segment(0xC0, SIZE) + segment(0xC0, SIZE) + SCAN, "second picture's header"),
        (segment(0xC0, SIZE) + b"garbage" + SCAN, "begins no segment"),
        (segment(0xC0, SIZE) + SCAN + b"\xff\xd8", "another picture begins"),
        (segment(0xC0, SIZE) + SCAN + b"\xff\x02", "FF 02 stands where"),
        (segment(0xC0, SIZE[:-1]) + SCAN, "is damaged"),
        (segment(0xC0, SIZE[:1] + b"\0\0" + SIZE[3:]) + SCAN, "claims to be 1280x0"),
        (segment(0xC0, SIZE[:-2] + b"\x51\0") + SCAN, "claims to be"),
        (segment(0xC0, SIZE) + segment(0xDA, b"\1\2\0\0\x3f\0") + b"x", "picture data is damaged"),
        (segment(0xC0, SIZE) + segment(0xDA, b"") + b"x", "picture data is damaged"),
        (segment(0xDD, b"\1") + segment(0xC0, SIZE) + SCAN, "no number"),
        (b"\xff\xe0\0\1", "has no length"),
        (b"\xff\xe0\xff\xf0", "cut off inside its header"),
        (segment(0xC2, SIZE) + segment(0xDA, b"\1\1\0\1\x3f\0") + b"x", "ends before all"),
    ],
)
def test_what_is_missing_or_too_much_is_said(middle: bytes, why: str) -> None:
    with pytest.raises(NotWhole, match=why):
        read(b"\xff\xd8" + middle + END)


def test_a_colour_without_its_scan_is_missing() -> None:
    """Three colours, each in a scan of its own, as some encoders write them."""
    frame = segment(0xC0, b"\x08\0\x08\0\x08\3" + b"".join(bytes([part, 0x11, 0]) for part in (1, 2, 3)))
    scans = [segment(0xDA, bytes([1, part, 0, 0, 0x3F, 0])) + b"x" for part in (1, 2, 3)]
    assert read(b"\xff\xd8" + frame + b"".join(scans) + END).width == 8
    for missing in range(3):
        rest = b"".join(scan for part, scan in enumerate(scans) if part != missing)
        with pytest.raises(NotWhole, match="ends before all"):
            read(b"\xff\xd8" + frame + rest + END)


@pytest.mark.parametrize(
    ("kind", "process", "scans", "blocks", "visits"),
    [
        ("plain", 0xC0, 1, 9 * 6 * 6, 9 * 6 * 6),  # 16x16 pixels a unit: four blocks of brightness, two of colour
        ("restarts by rows", 0xC0, 1, 9 * 6 * 6, 9 * 6 * 6),
        ("full colour", 0xC0, 1, 17 * 12 * 3, 17 * 12 * 3),
        ("4:2:2", 0xC0, 1, 9 * 12 * 4, 9 * 12 * 4),
        # two scans of all colours for the mean of each block, four of brightness alone, two of each colour for the rest
        ("progressive", 0xC2, 10, 9 * 6 * 6, 2 * 9 * 6 * 6 + 4 * 17 * 12 + 2 * 2 * 9 * 6),
    ],
)
def test_what_a_decoder_will_have_to_do_is_read_from_the_structure(
    kind: str, process: int, scans: int, blocks: int, visits: int
) -> None:
    found = read(KINDS[kind])
    assert (found.process, found.scans, found.blocks, found.visits) == (process, scans, blocks, visits)


def test_a_scan_counts_however_little_is_in_it() -> None:
    jpeg = b"\xff\xd8" + segment(0xC2, SIZE) + SCAN * 700 + END
    assert (read(jpeg).scans, read(jpeg).blocks, read(jpeg).visits) == (700, 160 * 60, 700 * 160 * 60)


def test_more_segments_than_any_picture_has_are_walked_no_further() -> None:
    rest = segment(0xC0, SIZE) + SCAN + END
    assert read(b"\xff\xd8" + segment(0xE5, b"") * 9_998 + rest).width == 1280
    with pytest.raises(NotWhole, match="more than 10000 segments"):
        read(b"\xff\xd8" + segment(0xE5, b"") * 9_999 + rest)
