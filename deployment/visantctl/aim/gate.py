"""Who may see the page: one PIN, asked once a browser, and few wrong tries."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import Counter
from collections.abc import Callable
from typing import Literal

TRIES_AN_ADDRESS = 5
TRIES_IN_ALL = 25
"""Wrong PINs after which the page is closed for good: a guess is then right with a chance of 1 in 40,000."""
Verdict = Literal["right", "wrong", "locked"]


def new_pin() -> str:
    """Six digits."""
    return f"{secrets.randbelow(1_000_000):06d}"


class Gate:
    """Shared by all threads of the server."""

    def __init__(self, pin: str, on_guessing: Callable[[], None]) -> None:
        """`on_guessing` is called once, when TRIES_IN_ALL were wrong."""
        self._pin = pin.encode()
        self._on_guessing = on_guessing
        self._wrong: Counter[str] = Counter()
        self._sessions: set[str] = set()
        self._lock = threading.Lock()

    def admits(self, session: str | None) -> bool:
        """Whether this is the cookie of somebody who gave the PIN."""
        with self._lock:
            return session is not None and session in self._sessions

    def left(self, address: str) -> int:
        """Tries that remain for `address`."""
        with self._lock:
            return self._left(address)

    def enter(self, address: str, pin: str) -> tuple[Verdict, str]:
        """(how it was, the session's secret where it is right). `locked`: not even looked at."""
        with self._lock:
            if self._left(address) <= 0:
                return "locked", ""
            # A space in the middle is how people type six digits.
            if hmac.compare_digest("".join(pin.split()).encode(), self._pin):
                session = secrets.token_urlsafe(24)
                self._sessions.add(session)
                return "right", session
            self._wrong[address] += 1
            guessed = self._wrong.total() == TRIES_IN_ALL
        if guessed:
            self._on_guessing()
        return "wrong", ""

    def _left(self, address: str) -> int:
        return min(TRIES_AN_ADDRESS - self._wrong[address], TRIES_IN_ALL - self._wrong.total())
