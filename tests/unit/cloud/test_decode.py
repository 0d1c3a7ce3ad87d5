"""What reads a picture."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from tests.support.hostile_jpegs import baseline, progressive
from visant_cloud.captures.decoding.decode import decode
from visant_cloud.captures.picture import BrokenPicture, CostlyPicture, NotAPicture


@given(st.binary(max_size=3000))
def test_bytes_that_are_no_picture_are_refused_without_a_fault(data: bytes) -> None:
    for candidate in (data, b"\xff\xd8\xff" + data + b"\xff\xd9"):
        with pytest.raises((NotAPicture, BrokenPicture)):
            decode(candidate)


NOISE = Image.effect_noise((131, 93), 60)


def drawn(**options: Any) -> bytes:
    file = io.BytesIO()
    NOISE.save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("trailer", [b"", bytes(512), b"maker's own", drawn()])
def test_what_follows_the_end_of_a_picture_is_no_fault_of_it(trailer: bytes) -> None:
    found = decode(drawn() + trailer)
    assert (found.width, found.height) == (131, 93)


def test_a_picture_without_its_middle_is_refused_where_restart_markers_show_it() -> None:
    whole = drawn(restart_marker_rows=1)
    begin, end = whole.index(b"\xff\xd2"), whole.index(b"\xff\xd5")
    decode(whole)
    with pytest.raises(BrokenPicture, match="a part is missing"):
        decode(whole[:begin] + whole[end:])


def test_two_halves_glued_together_are_refused() -> None:
    with pytest.raises(BrokenPicture, match="another picture begins"):
        decode(drawn()[:2000] + drawn())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_of_a_camera_on_its_side_has_size_and_thumbnail_as_a_browser_shows_it(orientation: int) -> None:
    raster = Image.new("L", (400, 200), 0)
    raster.paste(255, (0, 0, 200, 100))  # one corner, so that every turn differs
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    raster.save(file, "JPEG", exif=exif)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(file.getvalue())))
    found = decode(file.getvalue())
    assert (found.width, found.height) == shown.size
    thumbnail = Image.open(io.BytesIO(found.thumbnail))
    assert thumbnail.size == shown.resize((shown.width * 4 // 5, shown.height * 4 // 5)).size
    for x, y in ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)):
        here, there = (bright(one, x, y) for one in (shown, thumbnail))
        assert abs(here - there) < 30


def bright(image: Image.Image, x: float, y: float) -> int:
    """0 to 255, at a place told in shares of width and height."""
    grey = image.convert("L")
    return grey.tobytes()[int(grey.height * y) * grey.width + int(grey.width * x)]


@given(st.binary(max_size=200))
def test_exif_that_cannot_be_read_costs_no_picture(rubbish: bytes) -> None:
    file = io.BytesIO()
    NOISE.save(file, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + rubbish)
    assert decode(file.getvalue()).height in (93, 131)


COSTLY = {
    "1 GB in 3 MB": (lambda: progressive(13_000, 13_000), "977 MiB to decode, and 256 are the most"),
    "13 s in 260 kB": (lambda: progressive(6_000, 4_000, 1, 5_000), "goes over its 6000x4000 pixels in 5001 scans"),
    "few scans of a large picture": (lambda: progressive(8_000, 5_000, 1, 170), "in 171 scans"),
    "the largest that a header can claim": (lambda: baseline(65_500, 65_500)[:2000] + b"\xff\xd9", "65500x65500"),
}


@pytest.mark.parametrize(("made", "said"), COSTLY.values(), ids=COSTLY)
def test_what_costs_too_much_is_refused_by_its_structure_before_it_is_decoded(
    made: Callable[[], bytes], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jpeg = made()
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it is decoded"))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("it is decoded"))
    with pytest.raises(CostlyPicture, match=said):
        decode(jpeg)


def test_a_lossless_jpeg_is_refused_in_words() -> None:
    jpeg = baseline(64, 48).replace(b"\xff\xc0", b"\xff\xc3")
    with pytest.raises(BrokenPicture, match="FF C3, which browsers do not show"):
        decode(jpeg)


@pytest.mark.parametrize(
    "jpeg", [baseline(640, 480), baseline(640, 480, 1), progressive(640, 480, 3, 5), drawn(progressive=True)]
)
def test_what_is_written_as_a_bomb_but_small_is_a_picture(jpeg: bytes) -> None:
    assert Image.open(io.BytesIO(decode(jpeg).thumbnail)).format == "JPEG"


def test_nothing_that_somebody_wrote_into_a_picture_is_in_its_thumbnail() -> None:
    jpeg = drawn(comment=b"<script>", exif=b"Exif\0\0<script>", icc_profile=b"<script>" * 100)
    assert jpeg.count(b"<script>") == 102
    assert b"<script>" not in decode(jpeg).thumbnail
