"""What reads a picture."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from visant_cloud.captures.decode import BrokenPicture, NotAPicture, decode


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
def test_what_follows_the_end_of_a_picture_is_accepted_and_kept(trailer: bytes) -> None:
    found = decode(drawn() + trailer)
    assert (found.width, found.height, found.jpeg) == (131, 93, drawn() + trailer)


def test_a_picture_without_its_middle_is_refused_where_restart_markers_show_it() -> None:
    whole = drawn(restart_marker_rows=1)
    begin, end = whole.index(b"\xff\xd2"), whole.index(b"\xff\xd5")
    decode(whole)
    with pytest.raises(BrokenPicture, match="a part is missing"):
        decode(whole[:begin] + whole[end:])


def test_two_halves_glued_together_are_refused() -> None:
    with pytest.raises(BrokenPicture, match="another picture begins"):
        decode(drawn()[:2000] + drawn())
