"""`visant tail`: what happens, as it happens, and again from where one was after the way there was away."""

import json
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from visant_cli import when
from visant_cli.cloud import Event, path
from visant_cli.completion import device_ids
from visant_cli.failure import CloudRefused, ExitStatus, Failure
from visant_cli.output import Row
from visant_cli.session import Session, connected

_SILENCE = 60.0
"""Seconds without a word after which the stream counts as dead: three pings."""
_FIRST, _LONGEST = 1.0, 30.0


@connected
def tail(
    session: Session,
    types: Annotated[
        str | None, typer.Option("--types", metavar="TYPES", help="With commas between: trigger.ended,alert.*")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", "-d", metavar="DEVICE", autocompletion=device_ids, help="Of this device.")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", "-g", metavar="GROUP", help="Of devices of this group.")
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", "-t", metavar="TAG", help="Of devices with this tag.")] = None,
    site: Annotated[str | None, typer.Option("--site", metavar="SITE", help="Of devices of this site.")] = None,
    after: Annotated[
        int | None, typer.Option("--after", metavar="ID", min=0, help="From after this event; 0: all that is kept.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="End after so many.")] = None,
) -> None:
    """Show what happens, as it happens, until Ctrl-C. With --json a line of JSON for each event.

    Where the way to the cloud is away it goes on from where it was; a gap is said where events are not kept any more.
    """
    query = {"types": types, "device_id": device, "group": group, "tag": tag, "site": site, "after": after}
    told = 0
    try:
        for event in _events(session, query):
            if event["type"] in ("connected", "ping"):
                continue
            session.out.record(event, _line(event))
            told += event["type"] != "gap"
            if told == limit:
                return
    except KeyboardInterrupt:
        if not session.out.as_json and session.out.live:
            session.out.note("")
        raise typer.Exit(ExitStatus.DONE) from None


def _events(session: Session, query: dict[str, Any]) -> Iterator[Row]:
    last: str | None = None
    wait = _FIRST
    while True:
        headers = {} if last is None else {"Last-Event-ID": last}
        try:
            for event in session.cloud.events(path("events"), query=query, headers=headers, silence=_SILENCE):
                last, wait = event.id or last, _FIRST
                found = _read(event)
                if found is not None:
                    yield found
        except Failure as error:
            if error.status is not ExitStatus.CLOUD_AWAY or (last is None and not isinstance(error, CloudRefused)):
                raise
            session.out.note(f"{error.line}; again in {wait:.0f} s")
        time.sleep(wait)
        wait = min(_LONGEST, wait * 2)


def _read(event: Event) -> Row | None:
    try:
        found = json.loads(event.data)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("type"), str) else None


def _line(event: Row) -> list[object]:
    if event["type"] == "gap":
        return ["-", "gap", "-", f"events after {event['after']} are not kept any more"]
    said = [f"{name}={_short(value)}" for name, value in event["data"].items() if value not in (None, [], {}, "")]
    return [when.local(event["at"]), event["type"], event["device_id"] or "-", " ".join(said)]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:119] + "…"
