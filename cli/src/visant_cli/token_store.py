"""Where a token comes from and where it is kept: never the command line, which every process of a machine can read.

In this order: the file of `--token-file` or VISANT_TOKEN_FILE, VISANT_TOKEN, the profile (the keyring, or its file).
"""

import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from visant_cli.failure import ExitStatus, Failure

SERVICE = "visant"
"""Under which the keyring keeps tokens, by profile."""
_LONGEST = 4096


def checked(token: str, where: str) -> str:
    """A token as a header can carry it. Raises Failure: the line does not say what was there instead."""
    token = token.strip()
    if not token or len(token) > _LONGEST or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise Failure(f"{where}: there is no token: one line of letters and digits is expected", ExitStatus.USAGE)
    return token


def from_file(file: Path) -> str:
    """The token in a file. Raises Failure where it cannot be read, or others may read it."""
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            status = os.fstat(opened.fileno())
            text = opened.read(_LONGEST + 2)
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}: the token is to be read from it", ExitStatus.LOCAL) from None
    if os.name == "posix" and stat.S_ISREG(status.st_mode) and status.st_mode & 0o007:
        mode = stat.S_IMODE(status.st_mode)
        raise Failure(
            f"{file}: has mode {mode:04o}, and everybody here could read the token: chmod 600 {file}", ExitStatus.LOCAL
        )
    return checked(text, str(file))


def from_keyring(profile: str) -> str:
    """The token of a profile. Raises Failure where there is none, or no keyring."""
    try:
        token = _keyring().get_password(SERVICE, profile)
    except Exception as error:  # noqa: BLE001 - the edge to a keyring, whose backends raise what they like
        raise _no_keyring(error) from None
    if not token:
        raise Failure(f"the keyring has no token for profile {profile}: visant login", ExitStatus.NOT_ALLOWED)
    return str(token)


def keep_in_keyring(profile: str, token: str) -> None:
    """Raises Failure where no keyring takes it."""
    try:
        _keyring().set_password(SERVICE, profile, token)
    except Exception as error:  # noqa: BLE001 - as above
        raise _no_keyring(error) from None


def forget_in_keyring(profile: str) -> None:
    """Nothing is said where it was not there."""
    with suppress(Exception):  # as above, and the profile that names it goes anyway
        _keyring().delete_password(SERVICE, profile)


def _keyring() -> Any:
    try:
        import keyring
    except ImportError:
        raise Failure(
            "this visant has no keyring: pip install 'visant-cli[keyring]', or log in without --keyring",
            ExitStatus.LOCAL,
        ) from None
    return keyring


def _no_keyring(error: Exception) -> Failure:
    if isinstance(error, Failure):
        return error
    why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return Failure(f"the keyring does not answer ({why}): unlock it, or log in without --keyring", ExitStatus.LOCAL)
