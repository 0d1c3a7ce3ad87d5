"""How many examples of a property a run tries."""

from hypothesis import settings


def examples(count: int) -> int:
    """`count`, or as much less of it as the profile of this run tries of hypothesis' usual 100."""
    assert settings.default is not None
    return max(1, count * settings.default.max_examples // 100)
