"""`visant-uploader spool ls | show | requeue | export | import`: for the technician in front of the device."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from visant_contract.ids import valid_device_id
from visant_runtime.health import default_path
from visant_runtime.settings import base_url, fail, load
from visant_uploader.settings import SpoolSettings
from visant_uploader.spool.admin.listing import ListedFile, listing
from visant_uploader.spool.admin.mending import CannotBeDone, Here, export, import_from, requeue
from visant_uploader.spool.figures import Limits, count, disk_free, spool_health
from visant_uploader.spool.known_cloud import FILE_NAME, KnownCloud, recall
from visant_uploader.spool.layout import Destination, Folders


def spool_command(arguments: Sequence[str]) -> int:
    """The exit status: 0 done, 1 refused or nothing found, 2 a wrong call."""
    try:
        asked = _parser().parse_args(list(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    settings = load(SpoolSettings)
    folders = Folders(settings.spool_dir)
    try:
        if not folders.outbox.is_dir():
            raise CannotBeDone(f"SPOOL_DIR={folders.root} holds no spool: name the folder that the uploader writes to")
        status = int(asked.does(folders, settings, asked))
        sys.stdout.flush()
        return status
    except CannotBeDone as why:
        print(f"[ERROR] {why}", file=sys.stderr)
    except BrokenPipeError:  # `| head` has seen enough; the interpreter must not try to write the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"[ERROR] {error.filename or folders.root}: {error.strerror}", file=sys.stderr)
    return 1


def _ls(folders: Folders, settings: SpoolSettings, asked: argparse.Namespace) -> int:
    own = _own_place(folders)
    rate = _rate()
    health = spool_health(
        count(folders), folders, own, _limits(settings), free_bytes=disk_free(folders.root), bytes_a_day=rate
    )
    if asked.json:
        for one in listing(folders, own):
            print(json.dumps(one.as_json()))
        print(json.dumps({"spool": health.model_dump()}))
        return 0
    print(f"{'KEY':12}  {'STATE':14}  {'KIND':7}  {'BYTES':>9}  {'TAKEN (UTC)':19}  TRIGGER")
    for one in listing(folders, own):
        print(_row(one))
    left = "unknown (told after ten minutes of pictures)" if health.days_left is None else f"{health.days_left:.1f}"
    age = "" if health.oldest_age is None else f", the oldest for {health.oldest_age / 3600:.1f} h"
    print(
        f"{health.pictures} pictures and {health.reports} reports wait{age}; {health.held} held, "
        f"{health.dead_letter} refused, {health.quarantine} damaged\n"
        f"{health.bytes} of {health.limit_bytes} bytes used; days left at the current rate: {left}"
    )
    return 0


def _show(folders: Folders, settings: SpoolSettings, asked: argparse.Namespace) -> int:
    for one in _named(folders, asked.key):
        print(json.dumps(one.as_json(), indent=2))
    return 0


def _requeue(folders: Folders, settings: SpoolSettings, asked: argparse.Namespace) -> int:
    here = _here(folders) if asked.here else None
    if asked.key == "all":
        states = ("held", "dead-letter") if here else ("dead-letter",)
        chosen = [one for one in listing(folders, _own_place(folders)) if one.state in states]
    else:
        chosen = [one for one in _named(folders, asked.key) if one.state not in ("waiting", "unacknowledged")]
        if not chosen:
            raise CannotBeDone(f"{asked.key} is on its way already")
    refused = 0
    for one in chosen:
        try:
            requeue(folders, one, here)
        except (CannotBeDone, OSError) as error:
            if asked.key != "all":
                raise
            refused += 1
            why = error if isinstance(error, CannotBeDone) else f"{one.key[:12]}: {error.strerror}"
            print(f"[WARNING] {why}", file=sys.stderr)
    put_back = f"{len(chosen) - refused} put back; a running uploader takes them within seconds"
    print(f"{put_back}; {refused} not" if refused else put_back)
    return 1 if refused else 0


def _export(folders: Folders, settings: SpoolSettings, asked: argparse.Namespace) -> int:
    copied, skipped = export(folders, listing(folders, _own_place(folders)), asked.folder, jpeg=asked.jpeg)
    print(f"{copied} copied to {asked.folder}; {skipped} skipped, damaged or delivered meanwhile")
    return 0


def _import(folders: Folders, settings: SpoolSettings, asked: argparse.Namespace) -> int:
    if not asked.folder.is_dir():
        raise CannotBeDone(f"{asked.folder} is no folder: name a spool or what `spool export` made")
    if asked.folder.resolve() == folders.root.resolve():
        raise CannotBeDone(f"{asked.folder} is this device's own spool")
    here = _here(folders) if asked.here else None
    copied, refused = import_from(folders, asked.folder, _device_id(), here, _room(folders, settings))
    for line in refused:
        print(f"[WARNING] {line}", file=sys.stderr)
    if not copied and not refused:
        raise CannotBeDone(f"{asked.folder} holds no outcome (*.picture, *.report): name a spool, or an export")
    print(f"{copied} taken over, {len(refused)} not")
    return 1 if refused else 0


def _named(folders: Folders, wanted: str) -> list[ListedFile]:
    """By the start of the key, or by the trigger's id."""
    found = [
        one
        for one in listing(folders, _own_place(folders))
        if one.key.startswith(wanted) or (one.header is not None and one.header.trigger_id == wanted)
    ]
    if not found:
        raise CannotBeDone(f"nothing here is called {wanted!r}: `visant-uploader spool ls` lists keys and triggers")
    if len({one.key for one in found}) > 1:
        raise CannotBeDone(f"{wanted!r} fits {len(found)} files: give more of the key")
    return found


def _row(one: ListedFile) -> str:
    header = one.header
    if header is None:
        return f"{one.key[:12]}  {one.state:14}  {'?':7}  {one.bytes:>9}  {'?':19}  unreadable"
    said = "" if header.report is None else f"  {header.report.status}: {header.report.reason}"
    at = f"{header.time.wall:%Y-%m-%d %H:%M:%S}"
    return f"{one.key[:12]}  {one.state:14}  {header.kind:7}  {one.bytes:>9}  {at}  {header.trigger_id}{said}"


def _device_id() -> str:
    value = os.environ.get("DEVICE_ID", "")
    if not valid_device_id(value):
        fail(f"DEVICE_ID={value!r} is not valid: set the device's name, as for `run`")
    return value


def _cloud() -> tuple[str, KnownCloud | None]:
    """(API_URL, the cloud confirmed there last, where it is known)."""
    api_url = os.environ.get("API_URL", "")
    with suppress(ValueError):  # then no cloud was ever reached there
        api_url = base_url(api_url)
    return api_url, recall(load(SpoolSettings).spool_dir / FILE_NAME, api_url)


def _own_place(folders: Folders) -> str | None:
    _, known = _cloud()
    device_id = os.environ.get("DEVICE_ID", "")
    return None if known is None else Destination(known.cloud_id, device_id).place


def _here(folders: Folders) -> Here:
    api_url, known = _cloud()
    if known is None:
        raise CannotBeDone(
            f"API_URL={api_url!r} has never been reached: start the device, wait for its first connection"
        )
    return Here(known.cloud_id, known.plain, api_url, _device_id())


def _room(folders: Folders, settings: SpoolSettings) -> int:
    """Bytes of pictures that the limits still allow; what waits in `incoming` counts."""
    coming = sum(one.stat().st_size for one in folders.incoming.iterdir())
    used = count(folders).picture_bytes() + coming
    return _limits(settings).room(used, disk_free(folders.root))


def _limits(settings: SpoolSettings) -> Limits:
    return Limits(settings.spool_max_bytes, settings.spool_min_free_bytes)


def _rate() -> float | None:
    """Bytes a day, as the running uploader counts them."""
    try:
        facts: dict[str, Any] = json.loads(Path(default_path("uploader")).read_text())["facts"]
        return float(facts["bytes_a_day"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="visant-uploader spool", description="look at and mend the spool")
    parser.set_defaults(does=_ls)
    known = parser.add_subparsers(metavar="COMMAND", required=True)
    one = known.add_parser("ls", help="list all outcomes on the device, and the days left")
    one.add_argument("--json", action="store_true", help="one object a line, the sums last")
    one.set_defaults(does=_ls)
    one = known.add_parser("show", help="all that is known of one outcome")
    one.add_argument("key", help="the start of its key, or its trigger's id")
    one.set_defaults(does=_show)
    one = known.add_parser("requeue", help="send a refused or held outcome again")
    one.add_argument("key", help="the start of its key, its trigger's id, or `all`")
    one.add_argument("--here", action="store_true", help="also what was meant for another cloud or device")
    one.set_defaults(does=_requeue)
    one = known.add_parser("export", help="copy all outcomes into a folder")
    one.add_argument("folder", type=Path)
    one.add_argument("--jpeg", action="store_true", help="as plain pictures for people, not for `import`")
    one.set_defaults(does=_export)
    one = known.add_parser("import", help="take over another spool, or an export")
    one.add_argument("folder", type=Path)
    one.add_argument("--here", action="store_true", help="also what was meant for another cloud or device")
    one.set_defaults(does=_import)
    return parser
