"""`visant trigger`: take a picture now, and say what became of it."""

import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from visant_cli import download, watch, when
from visant_cli.cloud import path
from visant_cli.commands.devices import Devices
from visant_cli.failure import ExitStatus, Failure, interrupted
from visant_cli.output import Bar
from visant_cli.session import Session, connected, usable
from visant_cli.watch import Watched


@connected
def trigger(
    session: Session,
    device_ids: Devices,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Until each has ended; the exit status says how.")] = False,
    most: Annotated[
        str | None, typer.Option("--wait-for", metavar="TIME", help="Wait no longer than this, e.g. 2m.")
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option("--expires-in", metavar="TIME", help="How long the device may take, e.g. 10m.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Wait, and put the pictures there.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--idempotency-key", metavar="KEY", help="The same key gives the same trigger, however often."),
    ] = None,
) -> None:
    """Take a picture now.

    With --wait: exit status 0 where each trigger has its picture, 7 where one failed or expired.
    """
    body = {"expires_in": usable(when.seconds, expires_in, "--expires-in")} if expires_in else None
    limit = usable(when.seconds, most, "--wait-for") if most else None
    waits = wait or limit is not None or into is not None
    key = key or f"visant-cli-{uuid.uuid4()}"
    watched: list[Watched] = []
    for device_id in dict.fromkeys(device_ids):
        fired, _ = session.cloud.ask("POST", path("devices", device_id, "trigger"), body, key=f"{key}-{device_id}")
        watched.append(Watched(device_id, fired["trigger_id"]))
        if not waits:
            session.out.record(fired, _accepted(fired, words=session.out.terminal))
        elif not fired["connected"]:
            until = when.local(fired["expires_at"])
            session.out.note(f"{device_id} is not connected: it gets the trigger when it is back, until {until}")
    if waits:
        follow(session, watched, limit, into)


def _accepted(fired: dict[str, Any], *, words: bool) -> "str | list[object]":
    if not words:
        return [fired["device_id"], fired["trigger_id"], fired["status"]]
    until = "" if fired["connected"] else f", it is not connected and has until {when.local(fired['expires_at'])}"
    return f"{fired['device_id']}: {fired['status']} as {fired['trigger_id']}{until}"


def follow(session: Session, watched: list[Watched], limit: float | None, into: Path | None) -> None:
    """Waits for triggers, shows how far they are, and raises Failure where one has no picture."""
    out, alone = session.out, len(watched) == 1
    ended: list[Watched] = []

    def told(one: Watched, bar: Bar) -> None:
        happened = watch.steps(one.row)
        if alone and out.live:
            for step in happened[one.steps :]:
                bar.note(watch.line_of(step, one.row))
        one.steps = len(happened)
        if one.ended:
            ended.append(one)
            _result(session, one, into)
        badly = sum(other.row["status"] != "executed" for other in ended)
        bar.to(len(ended), f"{badly} without a picture" if badly else "")

    try:
        with out.progress("pictures", len(watched)) as bar:
            watch.until_ended(session.cloud, watched, seconds=limit, told=lambda one: told(one, bar))
    except KeyboardInterrupt:
        left = [one for one in watched if not one.ended]
        raise interrupted(
            f"{len(left)} of {len(watched)} triggers go on without you: visant triggers show {left[0].device_id} "
            f"{left[0].trigger_id}"
            if left
            else "all triggers had ended"
        ) from None
    badly = [one for one in watched if one.row["status"] != "executed"]
    if badly:
        raise Failure(
            f"{badly[0].device_id}: {badly[0].row['status']}: {watch.why(badly[0].row)}"
            if alone
            else f"{len(badly)} of {len(watched)} triggers ended without a picture",
            ExitStatus.ENDED_BADLY,
        )


def _result(session: Session, one: Watched, into: Path | None) -> None:
    row = dict(one.row)
    if into is not None and row["record_id"]:
        record = session.cloud.get(path("captures", row["record_id"]))
        row["file"] = str(download.fetch(session.cloud, record, download.place(into, record)).file)
    if not session.out.terminal:
        session.out.record(
            row,
            [
                row["device_id"],
                row["trigger_id"],
                row["status"],
                row["reason"] or "",
                row["record_id"] or "",
                row.get("file", ""),
            ],
        )
        return
    took = "" if row["latency_ms"] is None else f" after {row['latency_ms'] / 1000:.2f} s"
    where = row.get("file") or (row["record_id"] and f"picture {row['record_id']}")
    said = f"{where}{took}" if row["status"] == "executed" else watch.why(row)
    session.out.record(
        row, f"{row['device_id']}: {row['status']}: {said}" if said else f"{row['device_id']}: {row['status']}"
    )
