"""Tokens and codes that this cloud hands out once, and passwords: all known by their hash alone.

Random tokens of 256 bits need no slow hash; passwords, which people choose, get Argon2.
"""

import hashlib
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

DEVICE_PREFIX = "vd_"
API_PREFIX = "va_"
INVITE_PREFIX = "vi_"
MIN_PASSWORD = 10

_passwords = PasswordHasher()  # RFC 9106, low-memory profile: 64 MiB, 3 passes
_NOBODY: list[str] = []  # filled at the first need: most processes of this program verify no password
_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none that a person mistakes for another


def device_token() -> str:
    """A new device token."""
    return DEVICE_PREFIX + secrets.token_urlsafe(32)


def api_token() -> str:
    """A new API token."""
    return API_PREFIX + secrets.token_urlsafe(32)


def invite_code() -> str:
    """What the link of an invite holds."""
    return INVITE_PREFIX + secrets.token_urlsafe(32)


def session_token() -> str:
    """What a sign-in's cookie holds."""
    return secrets.token_urlsafe(32)


def enrol_code() -> str:
    """Ten letters in two groups, typed by a technician: 49 bits, and enrolment is rate limited."""
    letters = "".join(secrets.choice(_CODE_LETTERS) for _ in range(10))
    return f"{letters[:5]}-{letters[5:]}"


def tidy_code(typed: str) -> str:
    """A code as it is hashed, whatever the case, spaces and dashes it was typed with."""
    return "".join(c for c in typed.upper() if c.isalnum())


def digest(secret: str) -> str:
    """The hash under which a random secret is kept: SHA-256, 64 hex digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def unfit(password: str, again: str) -> str | None:
    """What is wrong with a new password that was typed twice, for the person; or None."""
    if password != again:
        return "The two passwords differ"
    return f"The password needs at least {MIN_PASSWORD} characters" if len(password) < MIN_PASSWORD else None


def hash_password(password: str) -> str:
    """Argon2id; takes about 50 ms of a core and 64 MiB."""
    return _passwords.hash(password)


def verify_password(kept: str | None, password: str) -> bool:
    """Whether it is the password. None (no such operator) takes as long as a wrong one."""
    if not _NOBODY:
        _NOBODY.append(hash_password(secrets.token_hex()))
    try:
        _passwords.verify(kept or _NOBODY[0], password)
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None
