"""`/opt/visant/.env.device` and the token beside it: read as Compose reads it, checked, and written with care: values
change, a person's comments and order stay.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from visantctl.errors import Misconfigured
from visantctl.host import durable
from visantctl.host.place import Place
from visantctl.host.redact import secrets_in, shown

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.device.example"
"""What a device's settings are made from: in the folder `deployment`, so that it is wherever an installer is."""
SERVICE_ID = 10001
"""User and group that the services run as (compose.yaml)."""
TOKEN_INSIDE = "/run/secrets/device_token"
"""Where the services see `secrets/device_token`."""
PROXY_KEYS = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
UPLINK_KEYS = (*PROXY_KEYS, "NO_PROXY", "SSL_CERT_FILE")
"""How to get out of this site: for the services, visantctl and the Docker Engine alike."""
_ALSO_KNOWN = {
    "HTTP_PROXY",
    "ALL_PROXY",
    "UPDATE_SETTLE",
    "UPDATE_IDLE_WAIT",
    "UPDATE_START_TIMEOUT",
    "UPDATE_ENGINE_PATIENCE",
    "UPDATE_MIN_FREE_BYTES",
    "MIGRATION_PATIENCE",
    "VISANT_PROJECT",
    "UPDATE_STATUS_FILE",
    "HOST_FACTS_FILE",
    "HEARTBEAT_FILE",
    "TZ",
}
"""Settings that the example does not list."""
_DEVICE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r"[A-Z][A-Z0-9_]*")
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=~-]*")


def read_env_file(path: Path) -> dict[str, str]:
    """KEY=VALUE lines; quotes around a value and a ` # comment` after it are taken off, as Compose does."""
    values: dict[str, str] = {}
    try:
        # With or without the mark that some editors put first; a wrong byte in a comment stops nothing.
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        return values
    except PermissionError:
        raise Misconfigured(f"{path} cannot be read: run as root (sudo)") from None
    if "\0" in text:
        raise Misconfigured(f"{path} is not plain text (UTF-16?): save it as UTF-8")
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or line.lstrip().startswith("#"):
            continue
        key, value = match.group(1), match.group(2).strip()
        if len(value) >= 2 and value[0] in "'\"" and value.find(value[0], 1) > 0:
            value = value[1 : value.find(value[0], 1)]
        else:
            value = re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()
        values[key] = value
    return values


def known_keys(example: str) -> set[str]:
    """Every setting that `.env.device.example` names, commented out or not."""
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", example, re.MULTILINE)) | _ALSO_KNOWN


def secrets_of(values: Mapping[str, str]) -> set[str]:
    """What is secret in these settings: by their names, and inside addresses; paths to secrets are none."""
    named = {key: one for key, one in values.items() if re.search(r"TOKEN|PASSWORD|SECRET|KEY", key)}
    whole = {one for key, one in named.items() if one and not key.endswith("_FILE")}
    return whole.union(*(secrets_in(one) for one in values.values()))


def checked_proxy(key: str, value: str) -> str:
    """The value; Misconfigured without its password. The form that services, Engine and visantctl all understand."""
    try:
        parts = urlsplit(value)
        fits = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0 and parts.path in ("", "/")
    except ValueError:  # a port that is no number, a bracket in the password
        fits = False
    if not fits or re.search(r"\s", value):
        raise Misconfigured(
            f"{key}={shown(value)!r} must look like http://proxy.example:3128 or http://user:password@host:port"
        )
    return value


def checked(key: str, value: str) -> str:
    """The value as it is written; Misconfigured names what is wrong with it."""
    if not _KEY.fullmatch(key):
        raise Misconfigured(f"{key!r} is no setting's name: capital letters, digits and underscores")
    if any(character in value for character in "\n\r\0"):
        raise Misconfigured(f"{key} holds a line break: write it on one line")
    value = value.strip()
    if key == "DEVICE_ID" and not _DEVICE_ID.fullmatch(value):
        raise Misconfigured(
            f"DEVICE_ID={value!r} must be 1 to 64 letters, digits, dots, hyphens or underscores, "
            "beginning with a letter or digit"
        )
    if key == "API_URL":
        value = value.rstrip("/")
        value = value[: -len("/v1")] if value.endswith("/v1") else value
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            raise Misconfigured(f"API_URL={shown(value)!r} must look like https://your-cloud.example")
    if key in PROXY_KEYS and value:
        checked_proxy(key, value)
    return value


def quoted(key: str, value: str) -> str:
    """As a line's right side that Compose and visantctl read back as the same value."""
    if _PLAIN.fullmatch(value):
        return value
    if "'" in value:
        raise Misconfigured(f"{key} holds a single quote, which .env.device cannot: choose another value")
    return f"'{value}'"


def with_values(text: str, values: Mapping[str, str]) -> str:
    """`text` with these settings: in place of the line that sets or comments on one, else at the end."""
    lines = text.splitlines()
    for key, value in values.items():
        line = f"{key}={quoted(key, value)}"
        active = [n for n, one in enumerate(lines) if re.match(rf"\s*(export\s+)?{key}\s*=", one)]
        commented = [n for n, one in enumerate(lines) if re.match(rf"#\s?{key}=", one)]
        if active:
            lines[active[0]] = line
            for extra in reversed(active[1:]):  # the last one would win
                del lines[extra]
        elif commented:
            lines.insert(commented[0] + 1, line)
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def write(place: Place, values: Mapping[str, str], example: Path | None = None) -> list[str]:
    """Set `values` in the device's file, made from `example` where there is none; returns the keys that changed.

    A token takes the place of the file that named one, and the other way round: services refuse to start with two.
    """
    wanted = {key: checked(key, value) for key, value in values.items()}
    present = read_env_file(place.env_file)
    for key, other in (("DEVICE_TOKEN", "DEVICE_TOKEN_FILE"), ("DEVICE_TOKEN_FILE", "DEVICE_TOKEN")):
        if wanted.get(key) and present.get(other):
            wanted.setdefault(other, "")
    try:
        before = place.env_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        if example is None or not example.is_file():
            raise Misconfigured(f"{place.env_file} is not there and no example to make it from") from None
        before = ""
    after = with_values(before or (example.read_text(encoding="utf-8") if example else ""), wanted)
    if after != before:
        place.root.mkdir(parents=True, exist_ok=True)
        durable.write_file(place.env_file, after.encode(), mode=0o600)
    place.env_file.chmod(0o600)
    old = set(before.splitlines())
    return [key for key, value in wanted.items() if f"{key}={quoted(key, value)}" not in old]


def store_token(place: Place, token: str) -> None:
    """Put the token where only root and the services read it, and name it in the settings."""
    token = token.strip()
    if not token or len(token.split()) != 1:
        raise Misconfigured("the device token must be one word: give the file that holds it alone")
    secrets = place.root / "secrets"
    secrets.mkdir(mode=0o750, parents=True, exist_ok=True)
    _for_services(secrets, 0o750)
    file = secrets / "device_token"
    durable.write_file(file, f"{token}\n".encode(), mode=0o640)
    _for_services(file, 0o640)
    write(place, {"DEVICE_TOKEN": "", "DEVICE_TOKEN_FILE": TOKEN_INSIDE})


def _for_services(path: Path, mode: int) -> None:
    with contextlib.suppress(PermissionError):  # a test that is not root
        os.chown(path, 0 if os.geteuid() == 0 else -1, SERVICE_ID)
    path.chmod(mode)


def names(place: Place) -> list[str]:
    """Keys that the device's file sets to something."""
    return [key for key, value in read_env_file(place.env_file).items() if value]


def comment_out(place: Place, keys: Iterable[str], why: str) -> None:
    """Keep the lines of these keys as comments."""
    wanted = set(keys)
    lines = []
    for line in place.env_file.read_text(encoding="utf-8", errors="replace").splitlines():
        key = line.partition("=")[0].strip().removeprefix("export ").strip()
        lines.append(f"# {line}  ({why})" if key in wanted else line)
    durable.write_file(place.env_file, ("\n".join(lines) + "\n").encode(), mode=0o600)
