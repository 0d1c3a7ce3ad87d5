"""`visant pictures`: which there are, and fetching them."""

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from visant_cli import download, when
from visant_cli.chosen import Filter, Groups, Tags, filter_of, found
from visant_cli.cloud import path
from visant_cli.completion import device_ids
from visant_cli.download import Fetched, NotWhole
from visant_cli.failure import ExitStatus, Failure, interrupted
from visant_cli.output import Column, Row, size
from visant_cli.session import Session, connected, usable

app = typer.Typer(help="Pictures: list, show, fetch.", no_args_is_help=True)
AT_ONCE = 4
"""Pictures that are fetched side by side: one way to the cloud and back is most of what a small one takes."""
_A_PAGE = 500
OfDevices = Annotated[
    list[str] | None,
    typer.Option(
        "--device", "-d", metavar="DEVICE", help="Of this device; again for others.", autocompletion=device_ids
    ),
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Taken after this: 2d (ago), 14:30, 2026-11-30.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Taken before this, written as --since.")]


def records(
    session: Session, devices: list[str] | None, chosen: str | None, since: str | None, until: str | None
) -> Iterator[Row]:
    """Records of pictures that fit, newest received first, device by device where devices are chosen."""
    first = _time(session, since, "--since")
    last = _time(session, until, "--until")
    if first and last and first >= last:
        raise Failure(f"--since {since} is not before --until {until}: nothing can fit", ExitStatus.USAGE)
    wanted: list[str | None] = list(dict.fromkeys(devices or []))
    if chosen is not None:
        ids = {row["device_id"] for row in found(session, chosen)}
        wanted = sorted(ids & set(wanted) if wanted else ids)
        if not wanted:
            return
    for device_id in wanted or [None]:
        for row in session.cloud.pages(path("captures"), "captures", device_id=device_id, limit=_A_PAGE):
            received, taken = when.parsed(row["received_at"]), when.parsed(row["captured_at"])
            if first and received and received < first:
                break  # it came before; what follows came earlier still, and was taken before it came
            if taken and (first is None or taken >= first) and (last is None or taken < last):
                yield row


def _time(session: Session, text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    at: datetime = usable(lambda said: when.moment(said, session.now), text, option)
    return at


@app.command()
@connected
def ls(
    session: Session,
    devices: OfDevices = None,
    chosen: Filter = None,
    groups: Groups = None,
    tags: Tags = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
) -> None:
    """List pictures, newest first."""
    session.out.table(
        islice(records(session, devices, filter_of(chosen, groups, tags), since, until), limit),
        [
            Column("RECORD", lambda row: row["record_id"]),
            Column("DEVICE", lambda row: row["device_id"]),
            Column("TAKEN", lambda row: when.local(row["captured_at"]) if session.out.terminal else row["captured_at"]),
            Column("SIZE", lambda row: f"{row['width']}x{row['height']}", spare=True),
            Column("BYTES", lambda row: size(row["bytes"]) if session.out.terminal else row["bytes"], spare=True),
            Column("TRIGGER", lambda row: row["trigger_id"], spare=True),
        ],
        empty="no picture fits",
    )


@app.command()
@connected
def show(session: Session, record_id: Annotated[str, typer.Argument(metavar="RECORD")]) -> None:
    """Show the record of one picture."""
    row = session.cloud.get(path("captures", record_id))
    lines = [("taken", when.local(row["captured_at"], milliseconds=True)), ("received", when.local(row["received_at"]))]
    lines += [(key, str(row[key])) for key in ("device_id", "trigger_id", "sha256") if row[key]]
    lines.append(("size", f"{row['width']}x{row['height']}, {size(row['bytes'])}"))
    session.out.facts(row, [("record", row["record_id"]), *lines])


@app.command()
@connected
def get(
    session: Session,
    devices: OfDevices = None,
    chosen: Filter = None,
    groups: Groups = None,
    tags: Tags = None,
    since: Since = None,
    until: Until = None,
    into: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where to; made where it is not there.")
    ] = Path(),
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many, the newest.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Without --since: all that there are.")] = False,
) -> None:
    """Fetch pictures into DIR/DEVICE/DAY/, compared with their hashes. The same command again goes on.

    With --json each picture is a line on standard output, its record with `file` and `new`.
    """
    if not (since or limit or every):
        raise Failure("say which: --since 2d, --limit 100, or --all", ExitStatus.USAGE)
    out = session.out
    new = there = 0
    bad: list[str] = []
    try:
        with out.progress("pictures", None) as bar:
            for record, result in _fetch_all(
                session, islice(records(session, devices, filter_of(chosen, groups, tags), since, until), limit), into
            ):
                if isinstance(result, NotWhole):
                    bad.append(result.line)
                    bar.note(result.line)
                    continue
                new, there = new + result.new, there + (not result.new)
                bar.to(new + there, f"{there} were there" if there else "")
                if out.as_json:
                    out.record({**record, "file": str(result.file), "new": result.new}, "")
    except KeyboardInterrupt:
        raise interrupted(f"{new + there} pictures are whole in {into}; the same command goes on from there") from None
    if not out.as_json:
        out.done({}, f"{new} fetched, {there} were there, in {into}" if new or there or bad else "no picture fits")
    if bad:
        raise Failure(
            f"{len(bad)} of {len(bad) + new + there} pictures could not be had: {bad[0]}", ExitStatus.ENDED_BADLY
        )


def _fetch_all(session: Session, wanted: Iterator[Row], into: Path) -> Iterator[tuple[Row, Fetched | NotWhole]]:
    stop = threading.Event()

    def one(record: Row) -> Fetched | NotWhole:
        try:
            return download.fetch(session.cloud, record, download.place(into, record), stopped=stop.is_set)
        except NotWhole as error:
            return error

    under_way: dict[Future[Any], Row] = {}
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="picture") as pool:
        try:
            for record in wanted:
                under_way[pool.submit(one, record)] = record
                if len(under_way) >= 2 * AT_ONCE:
                    yield from _ended(under_way)
            while under_way:
                yield from _ended(under_way)
        finally:
            stop.set()
            for future in under_way:
                future.cancel()


def _ended(under_way: dict[Future[Any], Row]) -> Iterator[tuple[Row, Fetched | NotWhole]]:
    for future in wait(under_way, return_when=FIRST_COMPLETED).done:
        record = under_way.pop(future)
        yield record, future.result()
