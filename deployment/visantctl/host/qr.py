"""QR codes, drawn by Debian's qrencode. The text goes through a pipe: it may hold a password."""

from __future__ import annotations

import subprocess


def terminal(text: str) -> str | None:
    """Lines of block characters, two modules a character; None where qrencode is missing."""
    return _draw(text, "-t", "UTF8")


def svg(text: str) -> str | None:
    """An `<svg>` element for an HTML page; None where qrencode is missing."""
    return _draw(text, "-t", "SVG", "--inline", "--svg-path", "--rle")


def wifi(ssid: str, password: str) -> str:
    """What phones read as "join this network": the format of ZXing's "Barcode Contents". No password: open."""

    def escaped(value: str) -> str:
        return "".join(f"\\{one}" if one in '\\;,":' else one for one in value)

    if not password:
        return f"WIFI:T:nopass;S:{escaped(ssid)};;"
    return f"WIFI:T:WPA;S:{escaped(ssid)};P:{escaped(password)};;"


def _draw(text: str, *how: str) -> str | None:
    try:
        done = subprocess.run(
            ["qrencode", "-l", "M", "-m", "2", *how, "-o", "-"],
            input=text.encode(), capture_output=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode()
