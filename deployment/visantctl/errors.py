"""Expected failures: each ends the command with one line and its exit code, never a stack trace."""

from __future__ import annotations


class Problem(Exception):
    """Something the operator can read and act on. `code` is the exit code of the command."""

    code = 1


class Misconfigured(Problem):
    """A setting or an argument is wrong; the line names key, value and remedy."""

    code = 2


class Unreachable(Problem):
    """The release source or the registry did not answer: nothing was changed, a later try may work."""

    code = 3


class Refused(Problem):
    """The release must not be used: signature, content, version or quarantine."""

    code = 4


class NoSpace(Problem):
    """Not enough free bytes for the release."""

    code = 5


class EngineAway(Problem):
    """The Docker Engine does not answer."""

    code = 6


class EngineFailed(Problem):
    """A docker command answered with an error."""

    code = 7


class Busy(Problem):
    """Another visantctl works on this device (sysexits' EX_TEMPFAIL)."""

    code = 75
