"""Names that people give, of devices and groups, and tags: in any script, and such that no page breaks. Pure."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_NAME = 100
MAX_TAG = 50
_OVERRIDES = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Unicode's explicit directional formatting: one that is not closed turns around what follows (UAX 9, 2.1 to 2.5). The
marks that only say a direction (LRM, RLM, ALM) are harmless, and some scripts need the joiners."""
_NO_LINE = ("Cc", "Zl", "Zp", "Cs")
_NOT_IN_TAGS = set(",:~\"'()\\")


def name(text: str) -> str:
    """A name as it is kept: NFC, without space around it. Raises ValueError with one line that says what to change."""
    kept = unicodedata.normalize("NFC", text).strip()
    _check(kept)
    if not any(unicodedata.category(letter)[0] in "LNSP" for letter in kept):
        raise ValueError("nothing of it can be seen: write at least one letter, digit or sign")
    if len(kept) > MAX_NAME:
        raise ValueError(f"at most {MAX_NAME} characters, not {len(kept)}")
    return kept


def name_or_nothing(text: str) -> str:
    """The same; it may be empty."""
    return name(text) if text.strip() else ""


def tag(text: str) -> str:
    """A tag as it is kept: a name of one word, in small letters."""
    kept = unicodedata.normalize("NFC", name(text).casefold())
    found = [letter for letter in kept if letter.isspace() or letter in _NOT_IN_TAGS]
    if found or kept.startswith("-"):
        raise ValueError(f"{(found or ['-'])[0]!r}: a tag is one word without , : ~ quotes or ( ), and no - first")
    if len(kept) > MAX_TAG:
        raise ValueError(f"at most {MAX_TAG} characters, not {len(kept)}")
    return kept


def notes(text: str) -> str:
    """Notes may have lines, and may be empty."""
    kept = unicodedata.normalize("NFC", text).replace("\r\n", "\n").strip()
    for letter in kept:
        if letter not in "\n\t":
            _check(letter)
    return kept


def _check(text: str) -> None:
    for letter in text:
        if unicodedata.category(letter) in _NO_LINE:
            raise ValueError(f"U+{ord(letter):04X} is a control character: take it away")
        if ord(letter) in _OVERRIDES:
            raise ValueError(f"U+{ord(letter):04X} turns the direction of writing around: take it away")


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(name)]
NameOrNothing = Annotated[str, Field(max_length=MAX_NAME), AfterValidator(name_or_nothing)]
Notes = Annotated[str, Field(max_length=4000), AfterValidator(notes)]
Tag = Annotated[str, Field(min_length=1, max_length=MAX_TAG), AfterValidator(tag)]
