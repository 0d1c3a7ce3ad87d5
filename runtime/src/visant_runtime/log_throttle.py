"""A line that would repeat for hours is said once, when it changes, and then at its 10th, 100th, 200th ... time."""


class LogThrottle:
    """Of one subject, e.g. a server that is away. Pure: the caller logs."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._times = 0

    def again(self, text: str) -> int | None:
        """How often `text` has come in a row by now, where that is worth a line; else None."""
        self._times = self._times + 1 if text == self._text else 1
        self._text = text
        return self._times if self._times in (1, 10) or self._times % 100 == 0 else None

    def over(self) -> bool:
        """The subject is well again; True: something had been said about it."""
        before, self._text = self._text, None
        return before is not None
