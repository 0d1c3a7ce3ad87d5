"""`.env.device` and its token; who else may read them, the check `files` says."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.errors import Misconfigured
from visantctl.host.env_file import SERVICE_ID, checked, known_keys, read_env_file
from visantctl.wiring import Device

ORDER = 10


def check(device: Device) -> Iterator[Finding]:
    """One finding a trouble, or one that all is well."""
    file = device.place.env_file
    if not file.is_file():
        yield fail("settings", f"{file} is not there", "run install_device.sh with --device-id and --api-url")
        return
    values = read_env_file(file)
    troubles = [*_wrong(values, file), *_token(values, file), *_authorities(values, file)]
    example = device.place.current / ".env.device.example"
    if example.is_file():
        troubles += unknown(values, known_keys(example.read_text(encoding="utf-8")), file)
    troubles += _unread(file)
    if not troubles:
        yield good("settings", f"{file}: DEVICE_ID={values['DEVICE_ID']}, API_URL={values['API_URL']}")
    yield from troubles


def unknown(values: Mapping[str, str], known: set[str], file: Path) -> Iterator[Finding]:
    """A key that nothing reads does nothing, whatever it was meant to do."""
    for key in sorted(set(values) - known):
        meant = difflib.get_close_matches(key.upper(), sorted(known), 1, 0.75)
        hint = f"{meant[0]} is meant? " if meant else "a typing error? "
        yield warn("settings", f"{key} is no setting: it does nothing", f"{hint}Edit {file}; see .env.device.example")


def _unread(file: Path) -> Iterator[Finding]:
    """Lines that are neither KEY=VALUE nor a comment, and keys that stand there twice."""
    keys: Counter[str] = Counter()
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        key = text.removeprefix("export ").partition("=")[0].strip()
        if "=" not in text or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            yield warn("settings", f"line {number} is not KEY=VALUE: it does nothing", f"edit {file}")
            continue
        keys[key] += 1
    for key in sorted(one for one, count in keys.items() if count > 1):
        yield warn("settings", f"{key} is set {keys[key]} times: the last one counts", f"edit {file}")


def _wrong(values: dict[str, str], file: Path) -> Iterator[Finding]:
    for key in ("DEVICE_ID", "API_URL"):
        try:
            checked(key, values.get(key, ""))
        except Misconfigured as error:
            yield fail("settings", str(error), f"edit {file}, then: sudo systemctl restart visant-device-v2")


def _authorities(values: dict[str, str], file: Path) -> Iterator[Finding]:
    """That the services can read the CA file; that it is there and one, `Settings` and `uplink.context` say."""
    named = values.get("SSL_CERT_FILE", "")
    if named and not named.startswith("/run/secrets/"):
        yield fail(
            "settings",
            f"SSL_CERT_FILE={named}: the services see only /opt/visant/secrets, as /run/secrets",
            f"put the file into {file.parent}/secrets and set SSL_CERT_FILE=/run/secrets/NAME",
        )
    elif named:
        path = file.parent / "secrets" / named.removeprefix("/run/secrets/")
        status = path.stat()
        if not (status.st_mode & 0o004 or (status.st_gid == SERVICE_ID and status.st_mode & 0o040)):
            yield fail(
                "settings",
                f"{path} cannot be read by the services (group {SERVICE_ID})",
                f"sudo chmod 644 {path}",
                fix=f"chmod 644 {path}",
            )


def _token(values: dict[str, str], file: Path) -> Iterator[Finding]:
    named = values.get("DEVICE_TOKEN_FILE", "")
    if named.startswith("/run/secrets/"):
        token = file.parent / "secrets" / named.removeprefix("/run/secrets/")
        if not token.is_file():
            yield fail(
                "settings",
                f"DEVICE_TOKEN_FILE={named}: {token} is not there",
                "sudo visantctl configure --token-file F, or sudo visantctl enrol",
            )
        elif token.stat().st_gid != 10001 and token.stat().st_uid != 10001:
            yield fail(
                "settings",
                f"{token} does not belong to group 10001: the services cannot read it",
                f"sudo chgrp 10001 {token}",
                fix=f"chgrp 10001 {token}",
            )
    elif not values.get("DEVICE_TOKEN") and not named:
        yield warn(
            "settings",
            "no token: anybody who knows this id can speak for this device",
            "visant-cloud enrol-code, then: sudo visantctl enrol (clouds without tokens need none)",
        )
