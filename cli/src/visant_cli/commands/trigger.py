"""`visant trigger`: take a picture now, and say what became of it."""

import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from visant_cli import chosen, download, watch, when
from visant_cli.chosen import DryRun, Everyone, Filter, Groups, Rate, SomeDevices, Tags, filter_of
from visant_cli.cloud import path
from visant_cli.failure import ExitStatus, Failure, interrupted
from visant_cli.output import Bar
from visant_cli.session import Session, connected, usable
from visant_cli.watch import Watched


@connected
def trigger(
    session: Session,
    device_ids: SomeDevices = None,
    where: Filter = None,
    groups: Groups = None,
    tags: Tags = None,
    everyone: Everyone = False,
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
    rate: Rate = None,
    dry_run: DryRun = False,
    key: Annotated[
        str | None,
        typer.Option("--idempotency-key", metavar="KEY", help="The same key gives the same triggers, however often."),
    ] = None,
) -> None:
    """Take a picture now.

    With --wait: exit status 0 where each trigger has its picture, 7 where one failed or expired.
    """
    lifetime = usable(when.seconds, expires_in, "--expires-in") if expires_in else None
    limit = usable(when.seconds, most, "--wait-for") if most else None
    waits = wait or limit is not None or into is not None
    key = key or f"visant-cli-{uuid.uuid4()}"
    wanted = chosen.selection(device_ids, filter_of(where, groups, tags, everyone=everyone))
    if device_ids and rate is None and not dry_run and len(wanted["devices"]) <= _ONE_BY_ONE:
        watched = _one_by_one(session, wanted["devices"], lifetime, key, tell=not waits)
        began = None
    else:
        action = {"do": "trigger", "expires_in": lifetime}
        job = chosen.bulk(session, wanted, action, question=None, rate=rate, key=key, dry_run=dry_run)
        if job is None:
            return
        if not waits or job["status"] != "done":
            chosen.told(session, job, "devices have a trigger")
            return
        began = job["created_at"]
        given = list(chosen.items(session, job["job_id"]))
        watched = [Watched(one["device_id"], one["detail"]) for one in given if one["outcome"] == "done"]
        for one in given:
            if one["outcome"] != "done":
                session.out.note(f"{one['device_id']}: no trigger: {one['detail']}")
    if waits:
        follow(session, watched, limit, into, began=began)


_ONE_BY_ONE = 20
"""Devices that are asked one by one, which any cloud of ours knows; more are a job."""


def _one_by_one(session: Session, ids: list[str], lifetime: float | None, key: str, *, tell: bool) -> list[Watched]:
    watched = []
    for device_id in ids:
        body = None if lifetime is None else {"expires_in": lifetime}
        fired, _ = session.cloud.ask("POST", path("devices", device_id, "trigger"), body, key=f"{key}-{device_id}")
        watched.append(Watched(device_id, fired["trigger_id"]))
        if tell:
            session.out.record(fired, _accepted(fired, words=session.out.terminal))
        elif not fired["connected"]:
            until = when.local(fired["expires_at"])
            session.out.note(f"{device_id} is not connected: it gets the trigger when it is back, until {until}")
    return watched


def _accepted(fired: dict[str, Any], *, words: bool) -> "str | list[object]":
    if not words:
        return [fired["device_id"], fired["trigger_id"], fired["status"]]
    until = "" if fired["connected"] else f", it is not connected and has until {when.local(fired['expires_at'])}"
    return f"{fired['device_id']}: {fired['status']} as {fired['trigger_id']}{until}"


def follow(
    session: Session, watched: list[Watched], limit: float | None, into: Path | None, *, began: str | None = None
) -> None:
    """Waits for triggers, shows how far they are, and raises Failure where one has no picture.

    `began`: none of them is older.
    """
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
            if one.row["status"] == "executed" or not (alone and out.terminal):  # else the last line says it
                _result(session, one, into)
        badly = sum(other.row["status"] != "executed" for other in ended)
        bar.to(len(ended), f"{badly} without a picture" if badly else "")

    try:
        with out.progress("pictures", len(watched)) as bar:
            watch.until_ended(session.cloud, watched, seconds=limit, told=lambda one: told(one, bar), began=began)
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
