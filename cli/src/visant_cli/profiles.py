"""Which clouds a person works with: profiles in one file that only this person may read.

`$VISANT_CONFIG`, else `$XDG_CONFIG_HOME/visant/profiles.json`, else `~/.config/visant/profiles.json`. A token stands in
it unless it lies in the system's keyring (token_store.py).
"""

import json
import os
import re
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from visant_cli import files
from visant_cli.failure import ExitStatus, Failure

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Profile:
    """One cloud. `token` is None where it lies in the keyring, or where there is none."""

    url: str
    token: str | None = field(default=None, repr=False)
    keyring: bool = False
    organisation: str | None = None


@dataclass(frozen=True)
class Profiles:
    """What the file says. `current` is the one that is meant where none is named."""

    current: str | None = None
    known: dict[str, Profile] = field(default_factory=dict)


def path() -> Path:
    """Where the file is, or will be."""
    named = os.environ.get("VISANT_CONFIG")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
    return Path(home) / "visant/profiles.json"


def load(file: Path) -> Profiles:
    """What the file says; no profiles where there is none.

    Raises Failure where it cannot be read, others may read it though it holds a token, or it is not as it should be.
    """
    try:
        with open(file, encoding="utf-8") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            found = json.load(opened)
    except FileNotFoundError:
        return Profiles()
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}: visant keeps its profiles there", ExitStatus.LOCAL) from None
    except ValueError as error:
        raise _broken(file, str(error)) from None
    try:
        known = {name: _profile(name, one) for name, one in found.get("profiles", {}).items()}
        current = found.get("current")
    except (AttributeError, TypeError, ValueError) as error:
        raise _broken(file, str(error)) from None
    if os.name == "posix" and mode & 0o077 and any(one.token for one in known.values()):
        raise Failure(
            f"{file}: has mode {mode:04o} and holds a token, which others could read: chmod 600 {file}",
            ExitStatus.LOCAL,
        )
    return Profiles(current if current in known else None, known)


def _broken(file: Path, why: str) -> Failure:
    return Failure(
        f"{file}: cannot be read as profiles ({why}): mend it, or remove it and log in anew", ExitStatus.LOCAL
    )


def _profile(name: str, found: dict[str, Any]) -> Profile:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} can be no profile's name")
    words = {key: found.get(key) for key in ("url", "token", "organisation")}
    if not isinstance(words["url"], str) or not all(isinstance(one, str | None) for one in words.values()):
        raise ValueError(f"profile {name!r}: url, token and organisation must be texts")
    return Profile(
        url=normal_url(words["url"]),
        token=words["token"] or None,
        keyring=found.get("keyring") is True,
        organisation=words["organisation"] or None,
    )


def save(file: Path, profiles: Profiles) -> None:
    """Writes the file whole, for its owner alone. Raises Failure where that cannot be done."""
    known = {name: {key: value for key, value in asdict(one).items() if value} for name, one in profiles.known.items()}
    text = json.dumps({"current": profiles.current, "profiles": known}, indent=2) + "\n"
    files.whole(file, [text.encode()], private=True)


def normal_url(text: str) -> str:
    """The cloud's address with scheme and without a slash at its end; `https://` where none is named.

    Raises ValueError with a line that says what is wrong.
    """
    url = text.strip()
    if "://" not in url:
        url = f"{'http' if urlsplit(f'//{url}').hostname in _LOOPBACK else 'https'}://{url}"
    try:
        parts = urlsplit(url)
        usable = parts.port != 0 and parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"{text!r} is no address of a cloud: write e.g. https://cloud.example")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"{_without_secrets(url)!r}: write the address without user, query and fragment")
    if re.search(r"[\x00-\x20\x7f]", url):
        raise ValueError(f"{text!r} has a space or a control character in it")
    return url.rstrip("/")


def in_the_clear(url: str) -> bool:
    """Whether a token sent there can be read on the way."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}"
