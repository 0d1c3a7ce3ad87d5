"""Real JPEGs of every kind that Pillow writes, each damaged in many ways: a decoder answers, and stays as it is."""

import io
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.hostile_jpegs import mutant, progressive, segment
from visant_cloud.captures.decoding.process import Decoder
from visant_cloud.captures.picture import BrokenPicture, CostlyPicture, NotAPicture

SEED = 38
MUTANTS = 150
"""Of each picture."""


def drawn(mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((131, 93), 60).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x8769] = 6, "a webcam", {0x9003: "2026:11:30 03:00:00"}
    return drawn(exif=exif)


def arithmetic() -> bytes:
    """The frame of arithmetic coding and a table of its own kind (T.81, B.2.4.3) on data that is coded otherwise."""
    return drawn().replace(b"\xff\xc0", segment(0xCC, b"\0\x10") + b"\xff\xc9")


CORPUS = {
    "baseline": drawn(),
    "full colour": drawn(subsampling=0),
    "grey": drawn("L"),
    "cmyk": drawn("CMYK"),
    "progressive": drawn(progressive=True),
    "restarts": drawn(restart_marker_blocks=3),
    "progressive with restarts": drawn(progressive=True, restart_marker_rows=1),
    "exif": turned(),
    "icc": drawn(icc_profile=bytes(range(256)) * 300),
    "arithmetic": arithmetic(),
    "many scans": progressive(640, 480, 3, 20),
}


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    one = Decoder(1 << 20)
    yield one
    one.close()


def size(decoder: Decoder) -> int:
    """Bytes of address space."""
    return int(Path(f"/proc/{decoder.pid}/statm").read_text().split()[0]) * 4096


def answer(decoder: Decoder, jpeg: bytes) -> tuple[str, bytes]:
    """What is said of it, and its thumbnail. A decoder that is lost raises."""
    try:
        return "", decoder.decode(jpeg)[3]
    except (NotAPicture, BrokenPicture, CostlyPicture) as error:
        return f"{type(error).__name__}: {error}", b""


@pytest.mark.parametrize("kind", CORPUS)
def test_every_damaged_picture_is_decoded_or_refused_in_one_line_by_a_decoder_that_does_not_grow(
    kind: str, decoder: Decoder
) -> None:
    rng = random.Random(f"{SEED} {kind}")
    outcomes: Counter[str] = Counter()
    decoder.decode(CORPUS["baseline"])
    before = size(decoder)
    for number in range(MUTANTS):
        jpeg = mutant(CORPUS[kind], rng)
        said, thumbnail = answer(decoder, jpeg)
        outcomes["decoded" if thumbnail else said.partition(":")[0]] += 1
        assert said.isprintable() and len(said) < 330, (number, jpeg)
        assert not thumbnail or max(Image.open(io.BytesIO(thumbnail)).size) <= 320
        assert decoder.alive, (number, jpeg)
    assert size(decoder) - before < 8 << 20, "it grows"
    assert outcomes["BrokenPicture"] > 10, outcomes
    assert outcomes["decoded"] > 10 or kind == "arithmetic", outcomes
