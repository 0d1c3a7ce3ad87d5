"""What makes a copied card one device: the file `visant.env` on its boot partition.

`KEY=VALUE` lines. The whole rest of the line is the value, a `#` in a password included; one pair of quotes around it
is taken off, so that blanks at the ends of a network's name can be written. Windows' line ends and byte order marks are
understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from visantctl.errors import Misconfigured
from visantctl.host import env_file
from visantctl.network import hotspot

FILE = "visant.env"
_OWN = (
    "DEVICE_ID", "DEVICE_TOKEN", "ENROL_CODE", "WIFI_SSID", "WIFI_PASSWORD",
    "HOTSPOT_SSID", "HOTSPOT_PASSWORD", "TAILSCALE_AUTHKEY",
)  # fmt: skip
"""Keys with a meaning here; all others are settings and go into .env.device."""
LARGEST = 100_000
"""Bytes. A card's file has a few hundred."""


@dataclass(frozen=True)
class Card:
    """One card's identity. Empty: not given."""

    device_id: str
    token: str = ""
    enrol_code: str = ""
    wifi_ssid: str = ""
    wifi_password: str = ""
    hotspot_ssid: str = ""
    hotspot_password: str = ""
    tailscale_key: str = ""
    settings: Mapping[str, str] | None = None
    """Other values for .env.device."""

    def __repr__(self) -> str:  # the rest are secrets
        return f"Card({self.device_id!r})"


def decoded(raw: bytes, name: str, largest: int = LARGEST) -> str:
    """The text of a file that somebody edited on any system; Misconfigured where it is none."""
    if len(raw) > largest:
        raise Misconfigured(f"{name} is larger than {largest} bytes: this is not the file that was meant")
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Misconfigured(f"{name}, line {line}: not UTF-8: save it as UTF-8 (Excel: CSV UTF-8)") from None
    if "\0" in text:
        raise Misconfigured(f"{name} holds zero bytes: save it as UTF-8 text")
    return text


def parse(raw: bytes, known: set[str], name: str = FILE) -> Card:
    """The card that `raw` describes. `known`: settings that .env.device may have. Misconfigured names the line."""
    values: dict[str, str] = {}
    for number, line in enumerate(decoded(raw, name).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, sign, value = line.partition("=")
        key = key.strip().removeprefix("export ").strip()
        if not sign or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            raise Misconfigured(f"{name}, line {number}: must be KEY=VALUE")
        if key in values:
            raise Misconfigured(f"{name}, line {number}: {key} is there twice: keep one of them")
        values[key] = _unquoted(value.strip())
    return made(values, known, name)


def made(values: Mapping[str, str], known: set[str], name: str) -> Card:
    """A card of these values, checked."""
    if unknown := sorted(set(values) - known - set(_OWN)):
        raise Misconfigured(f"{name}: unknown: {', '.join(unknown)}: a typing error? See .env.device.example")
    given = {key: value for key, value in values.items() if value}
    if "DEVICE_ID" not in given:
        raise Misconfigured(f"{name}: DEVICE_ID is missing: add DEVICE_ID=<the name the cloud knows this device by>")
    try:
        device_id = env_file.checked("DEVICE_ID", given["DEVICE_ID"])
        settings = {key: env_file.checked(key, value) for key, value in given.items() if key not in _OWN}
        for key, value in settings.items():
            env_file.quoted(key, value)
        _check_wifi(given.get("WIFI_SSID", ""), given.get("WIFI_PASSWORD", ""))
        hotspot.check(given.get("HOTSPOT_SSID", ""), given.get("HOTSPOT_PASSWORD", ""))
        for key in ("DEVICE_TOKEN", "ENROL_CODE", "TAILSCALE_AUTHKEY"):
            if len(given.get(key, "x").split()) != 1:
                raise Misconfigured(f"{key} must be one word")
        if "DEVICE_TOKEN" in given and "ENROL_CODE" in given:
            raise Misconfigured("DEVICE_TOKEN and ENROL_CODE are two ways to the same thing: keep one of them")
    except Misconfigured as error:
        raise Misconfigured(f"{name}: {error}") from None
    return Card(
        device_id=device_id,
        token=given.get("DEVICE_TOKEN", ""),
        enrol_code=given.get("ENROL_CODE", ""),
        wifi_ssid=given.get("WIFI_SSID", ""),
        wifi_password=given.get("WIFI_PASSWORD", ""),
        hotspot_ssid=given.get("HOTSPOT_SSID", ""),
        hotspot_password=given.get("HOTSPOT_PASSWORD", ""),
        tailscale_key=given.get("TAILSCALE_AUTHKEY", ""),
        settings=settings,
    )


def written(values: Mapping[str, str]) -> bytes:
    """The file, with the line ends that Notepad shows as well."""
    lines = [
        "# Visant Edge: who this card is. Copy this file to the card's boot partition (the one that Windows shows).",
        "# It is read at the first boot and removed from the card then: it holds secrets. The whole rest of a line",
        "# is the value.",
        *(f"{key}={_quoted(value)}" for key, value in values.items() if value),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] in "'\"" and value[-1] == value[0] else value


def _quoted(value: str) -> str:
    return f"'{value}'" if value != value.strip() or value[:1] in ("'", '"') else value


def _check_wifi(ssid: str, password: str) -> None:
    if password and not ssid:
        raise Misconfigured("WIFI_PASSWORD is there without WIFI_SSID")
    if len(ssid.encode()) > 32:
        raise Misconfigured(f"WIFI_SSID={ssid!r}: a network's name has at most 32 bytes")
    if password != password.strip():
        raise Misconfigured("WIFI_PASSWORD must not begin or end with a blank: it cannot be stored")
    if password and not (8 <= len(password.encode()) <= 63 or re.fullmatch(r"[0-9A-Fa-f]{64}", password)):
        raise Misconfigured("WIFI_PASSWORD must have 8 to 63 characters (or 64 hex digits)")
