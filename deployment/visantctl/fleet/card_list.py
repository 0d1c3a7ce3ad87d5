"""A fleet's list (CSV) becomes one file a card, and a sheet of labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from visantctl.errors import Misconfigured
from visantctl.fleet import card, labels
from visantctl.host import durable
from visantctl.network import hotspot
from visantctl.network.host_name import host_name

_ID_NAMES = ("DEVICE_ID", "ID", "DEVICE")
_SECRET = ("ENROL_CODE", "DEVICE_TOKEN")
_MOST = 5000
_LARGEST = 10_000_000
SHEET = "labels.html"


def rows(raw: bytes, name: str) -> list[tuple[int, dict[str, str]]]:
    """(line, its values by key) of a list. With a header line of keys, or of ids alone, one a line."""
    text = card.decoded(raw, name, _LARGEST)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if any(cells) and not cells[0].startswith("#"):
                found.append((reader.line_num, cells))
    except csv.Error as error:
        raise Misconfigured(f"{name}, line {reader.line_num}: {error}: is a quote missing?") from None
    if not found:
        raise Misconfigured(f"{name} names no device: one id a line, or a header line with DEVICE_ID")
    header = [_key(cell) for cell in found[0][1]]
    if "DEVICE_ID" in header:
        found = found[1:]
    elif all(len(cells) == 1 for _, cells in found):
        header = ["DEVICE_ID"]
    else:
        raise Misconfigured(f"{name}, line {found[0][0]}: several columns need a header line with DEVICE_ID")
    if len(set(header)) != len(header) or "" in header:
        raise Misconfigured(f"{name}, line 1: each column needs one name of its own")
    if not found:
        raise Misconfigured(f"{name} has a header line and no device")
    for line, cells in found:
        if len(cells) > len(header) and any(cells[len(header) :]):
            raise Misconfigured(f"{name}, line {line}: more columns than the header line has")
    return [(line, {key: cell for key, cell in zip(header, cells, strict=False) if cell}) for line, cells in found]


def write(raw: bytes, name: str, out: Path, known: set[str]) -> list[Path]:
    """One `out/<id>/visant.env` a card, and the sheet last; nothing is written where one line is wrong.

    The hotspot's name and password of a card that was written before are kept: its label may be printed.
    """
    listed = rows(raw, name)
    if len(listed) > _MOST:
        raise Misconfigured(f"{name} has {len(listed)} devices: {_MOST} at most")
    seen: dict[tuple[str, str], int] = {}
    for line, values in listed:
        device_id = card.made(values, known, f"{name}, line {line}").device_id
        for key, value in _before(out / device_id / card.FILE, known).items():
            values.setdefault(key, value)
        for kind, value in _unique(device_id, values):
            if value and seen.setdefault((kind, value), line) != line:
                raise Misconfigured(
                    f"{name}, line {line}: {kind}{'' if kind in _SECRET else f' {value}'} is there already, "
                    f"in line {seen[kind, value]}: two cards must not share it"
                )
    taken = {values["HOTSPOT_SSID"] for _, values in listed if "HOTSPOT_SSID" in values}
    for _, values in listed:
        made = hotspot.invented(taken)
        taken.add(values.setdefault("HOTSPOT_SSID", made.ssid))
        values.setdefault("HOTSPOT_PASSWORD", made.password)
    return _write([values for _, values in listed], out)


def _unique(device_id: str, values: Mapping[str, str]) -> list[tuple[str, str]]:
    """What no other card may have. Ids that differ by case or by a dot alone are one name in the network."""
    own = ("HOTSPOT_SSID", *_SECRET)
    return [
        ("the id", device_id),
        ("the host name", host_name(device_id)),
        *((key, values.get(key, "")) for key in own),
    ]


def _write(cards: Iterable[Mapping[str, str]], out: Path) -> list[Path]:
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = []
    for values in cards:
        folder = out / values["DEVICE_ID"]
        folder.mkdir(mode=0o700, exist_ok=True)
        durable.write_file(folder / card.FILE, card.written(values), mode=0o600)
        written.append(folder / card.FILE)
    durable.write_file(out / SHEET, labels.sheet(cards).encode(), mode=0o600)
    return written


def _key(cell: str) -> str:
    key = cell.upper().replace(" ", "_").replace("-", "_")
    return "DEVICE_ID" if key in _ID_NAMES else key


def _before(file: Path, known: set[str]) -> dict[str, str]:
    try:
        one = card.parse(file.read_bytes(), known, str(file))
    except FileNotFoundError:
        return {}
    return {"HOTSPOT_SSID": one.hotspot_ssid, "HOTSPOT_PASSWORD": one.hotspot_password}
