"""The file format: what was written comes back, and damage is always noticed and mostly has a name."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.support.examples import examples
from tests.support.not_none import not_none
from tests.unit.uploader.conftest import Make
from visant_uploader.spool.file_format import PEEK, CorruptFile, SpoolHeader, decode, encode, peek, read_header

relaxed = settings(
    deadline=None, max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=512)


def written(header: SpoolHeader, body: bytes) -> bytes:
    return b"".join(encode(header, body)[1])


@relaxed
@given(trigger_id=texts, body=st.binary(max_size=3000))
def test_what_was_written_comes_back(make: type[Make], trigger_id: str, body: bytes) -> None:
    outcome = decode(written(make.picture(trigger_id), body))
    assert bytes(outcome.body) == body
    assert outcome.header.trigger_id == trigger_id
    assert outcome.header.time == make.time()


@relaxed
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), body=st.binary(max_size=2000))
def test_one_flipped_bit_is_noticed_and_the_trigger_keeps_its_name(
    make: type[Make], at: float, bit: int, body: bytes
) -> None:
    data = bytearray(written(make.picture("t-77"), body))
    data[int(at * len(data))] ^= 1 << bit
    with pytest.raises(CorruptFile) as caught:
        decode(bytes(data))
    assert not_none(caught.value.header).trigger_id == "t-77"


@relaxed
@given(kept=st.floats(0, 1, exclude_max=True), body=st.binary(max_size=2000))
def test_a_truncated_file_is_noticed(make: type[Make], kept: float, body: bytes) -> None:
    data = written(make.picture(), body)
    with pytest.raises(CorruptFile):
        decode(data[: int(kept * len(data))])


def test_a_file_cut_after_the_header_still_names_its_trigger(make: type[Make]) -> None:
    data = written(make.picture("t-9"), b"x" * 5000)
    with pytest.raises(CorruptFile) as caught:
        decode(data[:4096])
    assert not_none(caught.value.header).trigger_id == "t-9"


def test_a_file_whose_first_block_is_zeros_still_names_its_trigger(make: type[Make]) -> None:
    data = written(make.picture("t-9"), b"x" * 8000)
    with pytest.raises(CorruptFile) as caught:
        decode(bytes(4096) + data[4096:])
    assert not_none(caught.value.header).trigger_id == "t-9"


@relaxed
@given(garbage=st.binary(max_size=4000))
def test_garbage_is_corrupt_and_nothing_worse(garbage: bytes) -> None:
    with pytest.raises(CorruptFile):
        decode(garbage)
    peek(garbage[:PEEK], garbage[-PEEK:])


@pytest.mark.parametrize("extra", [b"\0", b"\n", b"VISANT SPOOL END\n"])
def test_bytes_too_many_are_noticed(make: type[Make], extra: bytes) -> None:
    data = written(make.picture(), b"jpeg")
    for wrong in (data + extra, extra + data):
        with pytest.raises(CorruptFile):
            decode(wrong)


def test_the_header_is_read_from_the_two_ends_of_a_large_file(make: type[Make]) -> None:
    data = written(make.picture("t-9"), b"x" * 500_000)
    assert not_none(peek(data[:PEEK], data[-PEEK:])).trigger_id == "t-9"
    assert not_none(peek(b"", data[-PEEK:])).trigger_id == "t-9"
    assert not_none(peek(data[:PEEK], b"")).trigger_id == "t-9"
    assert peek(b"", b"") is None


def test_the_file_name_hides_the_trigger_and_separates_clouds(make: type[Make]) -> None:
    one, other = make.picture("a/../b"), make.picture("a/../b", cloud_id="cloud-2")
    assert one.file_name() != other.file_name()
    assert one.file_name().endswith(".picture") and "/" not in one.file_name() and len(one.file_name()) == 72


def test_the_bytes_on_the_card_are_those_that_other_releases_read_and_wrote(make: type[Make]) -> None:
    header, pieces = encode(make.picture("t-9"), b"JPEG")
    data = b"".join(pieces)
    begin, length, text, digest, body, text_again, digest_again, length_again, end, nothing = data.split(b"\n")
    assert (begin, body, end, nothing) == (b"VISANT SPOOL 1", b"JPEG", b"VISANT SPOOL END", b"")
    assert length == b"%08x" % len(text)
    assert digest == hashlib.sha256(text).hexdigest().encode()
    assert (text_again, digest_again, length_again) == (text, digest, length)
    said = json.loads(text)
    assert (said["trigger_id"], said["body_bytes"]) == ("t-9", 4)
    assert said["body_sha256"] == header.body_sha256 == hashlib.sha256(b"JPEG").hexdigest()
    assert "report" not in said, "what a header does not know takes no bytes on the card"


def named(data: bytes) -> str | None:
    """The trigger that a damaged file still names."""
    with pytest.raises(CorruptFile) as caught:
        decode(data)
    return None if caught.value.header is None else caught.value.header.trigger_id


@pytest.mark.parametrize("mask", [0x01, 0x10, 0x80])  # 0x10 makes a space of a zero, which a number may begin with
def test_each_single_wrong_byte_is_noticed_and_the_trigger_keeps_its_name(make: type[Make], mask: int) -> None:
    data = written(make.picture("t-77"), b"JPEG")
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= mask
        assert named(bytes(damaged)) == "t-77", at


def test_each_missing_or_doubled_byte_is_noticed_and_the_trigger_keeps_its_name(make: type[Make]) -> None:
    data = written(make.picture("t-77"), b"JPEG")
    for at in range(len(data)):
        assert named(data[:at] + data[at + 1 :]) == "t-77", at
        assert named(data[:at] + data[at : at + 1] + data[at:]) == "t-77", at


def test_a_file_names_its_trigger_while_one_copy_of_its_header_is_left(make: type[Make]) -> None:
    front, body, back = encode(make.picture("t-9"), b"JPEG")[1]
    data = front + body + back
    for cut in range(len(data)):
        assert named(data[:cut]) == ("t-9" if cut >= len(front) else None), cut
    for cut in range(1, len(data)):
        assert named(data[cut:]) == ("t-9" if cut <= len(front + body) + 1 else None), cut


def test_two_whole_headers_that_differ_are_corrupt(make: type[Make]) -> None:
    front, body, _ = encode(make.picture("t-1"), b"JPEG")[1]
    back = encode(make.picture("t-2"), b"JPEG")[1][2]
    with pytest.raises(CorruptFile, match="the two headers differ"):
        decode(front + body + back)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda front, body, back: bytes(len(front)) + body + back, "a copy of the header is damaged or missing"),
        (lambda front, body, back: front + body, "a copy of the header is damaged or missing"),
        (lambda front, body, back: body, "both copies of the header are damaged or missing"),
        (lambda front, body, back: front + b"JPE" + back, "3 bytes of picture instead of 4"),
        (lambda front, body, back: front + b"jpeg" + back, "the picture's SHA-256 differs"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(make: type[Make], damage: Any, said: str) -> None:
    with pytest.raises(CorruptFile) as caught:
        decode(damage(*encode(make.picture(), b"JPEG")[1]))
    assert str(caught.value) == caught.value.reason == said


def of_length(make: type[Make], length: int) -> SpoolHeader:
    """A header that is so long as JSON, the body's length and digest included."""
    short = encode(make.picture("t-9", api_url=""), b"JPEG")[0].model_dump_json(exclude_none=True)
    return make.picture("t-9", api_url="x" * (length - len(short)))


def test_a_header_of_64_kib_fits_and_is_found_from_both_ends_and_a_longer_one_is_not_written(make: type[Make]) -> None:
    data = written(of_length(make, 65536), b"JPEG")
    assert decode(data).header.trigger_id == "t-9"
    assert not_none(peek(data[:PEEK], b"")).trigger_id == "t-9"
    assert not_none(peek(b"", data[-PEEK:])).trigger_id == "t-9"
    assert PEEK <= 65536 + 256, "a look at a file stays cheap"
    with pytest.raises(ValueError, match="65537 bytes does not fit into 65536"):
        encode(of_length(make, 65537), b"JPEG")


def test_a_header_is_a_fact_and_cannot_be_changed(make: type[Make]) -> None:
    assert (make.report().body_bytes, make.report().body_sha256) == (0, ""), "until it is written"
    header = decode(written(make.report(), b"")).header
    with pytest.raises(ValidationError):
        header.trigger_id = "another"  # type: ignore[misc] # that is the mistake


@pytest.mark.parametrize("size", [4, 500_000])
def test_the_header_alone_is_read_from_a_file_of_any_size(make: type[Make], tmp_path: Path, size: int) -> None:
    file, (front, body, back) = tmp_path / "one.picture", encode(make.picture("t-9"), b"x" * size)[1]
    for content in (front + body + back, bytes(len(front)) + body + back, front + body, back[1:]):
        file.write_bytes(content)
        assert not_none(read_header(file)).trigger_id == "t-9"
    file.write_bytes(bytes(len(front)) + body)
    assert read_header(file) is None
    assert read_header(tmp_path / "gone.picture") is None
