"""What reads a picture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visant_cloud.captures.decode import BrokenPicture, NotAPicture, decode


@given(st.binary(max_size=3000))
def test_bytes_that_are_no_picture_are_refused_without_a_fault(data: bytes) -> None:
    for candidate in (data, b"\xff\xd8\xff" + data + b"\xff\xd9"):
        with pytest.raises((NotAPicture, BrokenPicture)):
            decode(candidate)
