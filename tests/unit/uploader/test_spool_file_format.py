"""The file format: what was written comes back, and damage is always noticed and mostly has a name."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.uploader.conftest import Make
from visant_uploader.spool.file_format import PEEK, CorruptFile, SpoolHeader, decode, encode, peek

relaxed = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    assert caught.value.header is not None
    assert caught.value.header.trigger_id == "t-77"


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
    assert caught.value.header.trigger_id == "t-9"


def test_a_file_whose_first_block_is_zeros_still_names_its_trigger(make: type[Make]) -> None:
    data = written(make.picture("t-9"), b"x" * 8000)
    with pytest.raises(CorruptFile) as caught:
        decode(bytes(4096) + data[4096:])
    assert caught.value.header.trigger_id == "t-9"


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
    assert peek(data[:PEEK], data[-PEEK:]).trigger_id == "t-9"
    assert peek(b"", data[-PEEK:]).trigger_id == "t-9"
    assert peek(data[:PEEK], b"").trigger_id == "t-9"
    assert peek(b"", b"") is None


def test_the_file_name_hides_the_trigger_and_separates_clouds(make: type[Make]) -> None:
    one, other = make.picture("a/../b"), make.picture("a/../b", cloud_id="cloud-2")
    assert one.file_name() != other.file_name()
    assert one.file_name().endswith(".picture") and "/" not in one.file_name() and len(one.file_name()) == 72
