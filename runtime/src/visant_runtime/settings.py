"""Settings: the environment, parsed once into one frozen object per service.

A bad or missing value ends the start with one line that names the key, the value and the remedy.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, RedisDsn, SecretStr, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from visant_runtime.logs import LogFormat, LogLevel
from visant_runtime.redact import MASK, secrets_in, shown

EX_CONFIG = 78
"""sysexits.h: a configuration error."""
_FOLLOWS = "default_factory_not_called"
"""pydantic's word for a default that hangs on a value that is wrong, which has a line of its own."""
_SECRETS = Path("/run/secrets")
"""Where containers see the folder `secrets`."""


class SettingsError(Exception):
    """One line for the person who wrote the settings."""


class Settings(BaseSettings):
    """Base of every service's settings; field names in upper case are the environment's keys.

    A field's `description` is shown as the remedy; the key NAME_FILE names a file that holds the secret NAME.
    """

    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, extra="ignore", case_sensitive=False, hide_input_in_errors=True
    )

    log_format: LogFormat = "text"
    log_level: LogLevel = "INFO"

    def secrets(self) -> list[str]:
        """What must not appear in a log: secrets, and what is one inside an address, the proxies' included."""
        values = [getattr(self, name) for name in type(self).model_fields]
        secret = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        plain = [value for value in values if isinstance(value, str)]
        proxies = [value for key, value in os.environ.items() if key.upper().endswith("_PROXY")]
        inside = set[str]().union(*(secrets_in(value) for value in (*secret, *plain, *proxies)))
        return [*secret, *sorted(inside)]


S = TypeVar("S", bound=Settings)


def load(kind: type[S], notes: Sequence[str] = ()) -> S:
    """The settings from the environment, or the end of the process with one line for each wrong key.

    `notes` are shown before those: what may be why a key is missing.
    """
    try:
        return kind()
    except ValidationError as error:
        for note in notes:
            print(f"[WARNING] {note}", file=sys.stderr, flush=True)
        wrong = [problem for problem in error.errors() if problem["type"] != _FOLLOWS]
        fail(*(_line(kind, problem) for problem in wrong))
    except SettingsError as error:
        fail(str(error))


def fail(*lines: str) -> NoReturn:
    """Prints each line as an error and exits with EX_CONFIG."""
    for line in lines:
        print(f"[ERROR] {line}", file=sys.stderr, flush=True)
    raise SystemExit(EX_CONFIG)


def _line(kind: type[Settings], problem: Any) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else ""
    field = kind.model_fields.get(name)
    remedy = f": {field.description}" if field is not None and field.description else ""
    if problem["type"] == "missing":
        return f"{name.upper()} is not set{remedy}"
    secret = field is not None and "SecretStr" in str(field.annotation)
    given = "" if secret or "input" not in problem else f"={shown(str(problem['input']))[:200]!r}"
    reason = str(problem["msg"]).removeprefix("Value error, ")
    return f"{name.upper()}{given} is not valid ({reason}){remedy}"


def show(settings: Settings) -> str:
    """`KEY=value` lines, secrets masked: what `visant-x config` prints."""
    lines = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = MASK
        elif isinstance(value, str):
            value = shown(value)
        elif isinstance(value, dict | list):
            value = json.dumps(value)
        lines.append(f"{name.upper()}={'' if value is None else value}")
    return "\n".join(lines)


def config_command(kind: type[Settings], arguments: Sequence[str] = ()) -> int:
    """What `visant-x config` runs: 0 and the settings in force, or the lines of `load`."""
    print(show(load(kind)))
    return 0


def value_or_file(values: dict[str, Any], name: str, file: str) -> dict[str, Any]:
    """`values` with what the file that the setting `file` names holds as `name`, where one is named.

    Raises SettingsError where both are set. Two keys are one too many, also where they agree: one of them would be
    forgotten when the secret changes.
    """
    named = values.get(file)
    if named is None:
        return values
    if values.get(name):
        raise SettingsError(f"{name.upper()} and {file.upper()}={named} are both set: remove one")
    return {**values, name: read_secret_file(file.upper(), Path(named)).get_secret_value()}


def checked_redis_url(value: str) -> str:
    """`redis://host:port/0` or `unix://path`. Raises ValueError for anything else."""
    if not value.startswith("unix://"):
        _REDIS_URL.validate_python(value)
    return value


_REDIS_URL = TypeAdapter(RedisDsn)


def read_secret_file(key: str, path: Path) -> SecretStr:
    """The stripped content of the file that the setting `key` names. Raises SettingsError with the remedy."""
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        remedy = _readable(path) if isinstance(error, PermissionError) else "put the secret in it"
        raise SettingsError(f"{key}={path} cannot be read ({reason}): {remedy}") from None
    if not text or len(text) > 4096 or not _fits_a_header(text):
        raise SettingsError(f"{key}={path} must hold one word in ASCII: put the secret in it, alone on one line")
    return SecretStr(text)


def _readable(path: Path) -> str:
    """How this process gets to read a file that it may not: the commands, for whoever owns the file."""
    user, group = os.geteuid(), os.getegid()
    if path.is_relative_to(_SECRETS):  # mounted: no path of the host's
        return (
            f"user {user} or group {group} must read it; beside compose.yaml: "
            f"sudo chgrp -R {group} secrets && sudo chmod -R u+rwX,g+rX secrets"
        )
    return f"user {user} or group {group} must read it: sudo chgrp {group} {path} && sudo chmod 640 {path}"


def _fits_a_header(text: str) -> bool:
    return all(33 <= ord(c) <= 126 for c in text)


def _token(value: SecretStr) -> SecretStr:
    if not _fits_a_header(value.get_secret_value()):
        raise ValueError("it holds a space or a character that no token has: copy it again, without quotes")
    return value


Token = Annotated[SecretStr, AfterValidator(_token)]
"""A secret that is sent in a header: visible ASCII."""


def base_url(value: str) -> str:
    """The address without a trailing slash or /v1. Raises ValueError with the reason."""
    value = value.strip()
    if not value.isprintable() or " " in value:
        raise ValueError("it holds a space or a character that cannot be seen: type it anew")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it must begin with http:// or https:// and name a host")
    if parts.username or parts.query or parts.fragment:
        raise ValueError("it must not carry a user name, a query or a fragment")
    _ = parts.port  # raises ValueError where it is no number
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise ValueError(f"{parts.hostname[:80]!r} cannot be a host's name") from None
    return value.rstrip("/").removesuffix("/v1")  # the version belongs to each path; many copy it along


BaseUrl = Annotated[str, AfterValidator(base_url)]
"""`http://host[:port][/path]` without a trailing slash."""
