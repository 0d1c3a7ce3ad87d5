"""What went wrong, as one line and an exit status that a script can tell apart."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """docs/cli.md says each once more, and a test holds the two together."""

    DONE = 0
    """All that was asked for is done."""
    FAULT = 1
    """A fault of visant itself."""
    USAGE = 2
    """The command line, or a value that the cloud does not take."""
    NOT_ALLOWED = 3
    """No token, one that is not valid there, or one that may not do this."""
    NOT_FOUND = 4
    """The cloud knows no such device, trigger, picture."""
    CONFLICT = 5
    """What is there does not allow it, or somebody else changed it meanwhile."""
    CLOUD_AWAY = 6
    """Nobody answers, or not in time, or says to come back later."""
    ENDED_BADLY = 7
    """It was done and some of it went wrong: a trigger without a picture, a picture that is not whole."""
    STILL_GOING = 8
    """The wait was over before the thing waited for was."""
    LOCAL = 9
    """This machine: a full disk, a file that may not be read or written, a keyring that is locked."""
    INTERRUPTED = 130
    """Ctrl-C, or No to a question."""


class Failure(Exception):
    """Ends the program. `line` names what, the value and the remedy; it may hold what others wrote."""

    def __init__(self, line: str, status: ExitStatus) -> None:
        super().__init__(line)
        self.line = line
        self.status = status


class CloudRefused(Failure):
    """The cloud's own word: `reason` is its machine-readable one where it gave one."""

    def __init__(self, line: str, status: ExitStatus, *, http_status: int, reason: str | None = None) -> None:
        super().__init__(line, status)
        self.http_status = http_status
        self.reason = reason


def interrupted(what_goes_on: str) -> Failure:
    """Ctrl-C: the line says what goes on without us, or how to go on."""
    return Failure(f"stopped: {what_goes_on}", ExitStatus.INTERRUPTED)
