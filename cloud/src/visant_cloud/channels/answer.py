"""How an attempt to deliver a message ended."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """`taken`: whoever was sent it has it. `text`: one line for the delivery log."""

    taken: bool
    text: str


def line(text: str) -> str:
    """One bounded line of what may be anything."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:1000]).split())[:300]
