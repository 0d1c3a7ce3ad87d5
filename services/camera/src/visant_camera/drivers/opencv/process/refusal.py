"""What a stream's server answered, read from the words that FFmpeg leaves on standard error; none of them is shown."""

import os
import re
import threading

_FAILED = re.compile(rb"method [A-Z]+ failed: (\d{3})")
_IN_WORDS = {
    401: "the camera refuses user or password (401); in CAMERA_SOURCE write % as %25, @ as %40, / as %2F",
    403: "the camera forbids it (403): is the user allowed to see this stream?",
    404: "the camera has no such stream (404): is the path of CAMERA_SOURCE right?",
    453: "the camera has no bandwidth for one more viewer (453)",
}


class Refusal:
    """Takes over standard error; its thread reads for as long as the process lives, so that nobody waits to write."""

    def __init__(self) -> None:
        self._status: int | None = None
        reading, writing = os.pipe()
        os.dup2(writing, 2)
        os.close(writing)
        self._reader = threading.Thread(target=self._read, args=(reading,), daemon=True)
        self._reader.start()

    def in_words(self) -> str | None:
        """Why the server did not serve; None: it did not say, or nothing with a known remedy. Once, at the end."""
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)  # the pipe's last writer: the reader comes to its end
        self._reader.join(1.0)
        return None if self._status is None else _IN_WORDS.get(self._status)

    def _read(self, descriptor: int) -> None:
        kept = b""
        while piece := os.read(descriptor, 4096):
            kept = (kept + piece)[-8192:]
            if found := _FAILED.findall(kept):
                self._status = int(found[-1])
