"""What the spool holds, kept in step with every move: figures for the limits, the telemetry and the page."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from visant_uploader.spool.contents import Contents, count
from visant_uploader.spool.layout import Folders


class SpoolCounts:
    """Whoever moves a file holds `moving` until the move is counted by `change`."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._guard = threading.Lock()
        self._contents = Contents()
        self.moving = threading.Lock()
        """Held while all are counted as well: no file must be counted on both sides of its move, or on neither."""

    def copy(self) -> Contents:
        """The counts of this moment."""
        with self._guard:
            return self._contents.copy()

    @contextmanager
    def change(self) -> Iterator[Contents]:
        """The counts themselves, for a moment."""
        with self._guard:
            yield self._contents

    def count_all(self) -> None:
        """From the folders, before anything is put into the spool."""
        with self.moving:
            counted = count(self._folders)
            with self._guard:
                self._contents = counted

    def count_again(self) -> None:
        """From the folders, after a technician's change. The unacknowledged he leaves alone, and new ones come."""
        with self.moving:
            counted = count(self._folders)
            with self._guard:
                counted.unacknowledged = self._contents.unacknowledged
                self._contents = counted
