"""`visant schedule`: when pictures are taken without anybody asking: shared schedules, and devices' own intervals."""

from typing import Annotated, Any

import typer

from visant_cli import chosen, rules, when
from visant_cli.chosen import DryRun, Everyone, Filter, Groups, SomeDevices, Tags, Yes, filter_of
from visant_cli.cloud import path
from visant_cli.completion import device_ids
from visant_cli.failure import ExitStatus, Failure
from visant_cli.output import Column, Row
from visant_cli.session import Session, connected, usable

app = typer.Typer(help="Schedules: who takes pictures when.", no_args_is_help=True)
Schedule = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its name, or its number.")]
ToDevices = Annotated[
    list[str] | None,
    typer.Option("--device", "-d", metavar="DEVICE", autocompletion=device_ids, help="This device; again for others."),
]
Every = Annotated[str | None, typer.Option("--every", metavar="TIME", help="As 15m, 2h.")]
Cron = Annotated[str | None, typer.Option("--cron", metavar="LINE", help="As '0 8,12 * * *'.")]
Zone = Annotated[str | None, typer.Option("--zone", metavar="ZONE", help="Of its times of day, as Europe/Berlin.")]
Days = Annotated[str | None, typer.Option("--days", metavar="DAYS", help="As mon-fri, or sat,sun.")]
Windows = Annotated[
    list[str] | None, typer.Option("--window", metavar="FROM-TO", help="Only then, as 08:00-18:30; again for others.")
]
Daylight = Annotated[
    str | None, typer.Option("--daylight", metavar="LAT,LON", help="Only from sunrise to sunset there.")
]
Pauses = Annotated[
    list[str] | None, typer.Option("--pause", metavar="DAY..DAY", help="Not on these days; again for others.")
]
Jitter = Annotated[str | None, typer.Option("--jitter", metavar="TIME", help="Spread the devices over this.")]
Expires = Annotated[str | None, typer.Option("--expires-after", metavar="TIME", help="How long a device may take.")]
Missed = Annotated[
    str | None, typer.Option("--missed", metavar="WORD", help="skip or once: of missed slots, one late.")
]


def _number(session: Session, name: str) -> int:
    """A schedule's number. Raises Failure for a name that none has."""
    if name.isdecimal():
        return int(name)
    for row in session.cloud.pages(path("schedules"), "schedules", limit=1000):
        if row["name"] == name:
            return int(row["schedule_id"])
    raise Failure(f"there is no schedule {name}: visant schedule ls", ExitStatus.NOT_FOUND)


@app.command()
@connected
def ls(session: Session) -> None:
    """List the shared schedules, and when each fires next. `visant schedule own` lists devices' own intervals."""
    session.out.table(
        session.cloud.pages(path("schedules"), "schedules", limit=500),
        [
            Column("SCHEDULE", lambda row: row["schedule_id"]),
            Column("NAME", lambda row: row["name"]),
            Column("NEXT", lambda row: chosen.at(session, row["next_at"]) if row["active"] else "off", state=True),
            Column("DEVICES", lambda row: row["devices"]),
            Column("WHEN", lambda row: row["text"], spare=True),
        ],
        empty="there is no shared schedule yet: visant schedule add NAME --every 15m --group GROUP",
    )


@app.command()
@connected
def show(session: Session, schedule: Schedule) -> None:
    """Show a schedule: its rule in words, its next slots, and what it is attached to."""
    row = session.cloud.get(path("schedules", _number(session, schedule)))
    lines: list[tuple[str, object]] = [("schedule", row["schedule_id"]), ("name", row["name"]), ("when", row["text"])]
    lines += [("next", "off" if not row["active"] else when.local(row["next_at"])), ("devices", row["devices"])]
    lines += [(f"for {what}", ", ".join(names)) for what, names in row["attached"].items() if names]
    session.out.facts(row, lines)


@app.command("next")
@connected
def following(
    session: Session,
    schedule: Annotated[str | None, typer.Argument(metavar="[SCHEDULE]", help="Its name, or its number.")] = None,
    device: Annotated[
        str | None, typer.Option("--device", "-d", metavar="DEVICE", autocompletion=device_ids, help="Of this device.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100, help="So many.")] = 5,
) -> None:
    """Say when a schedule fires next, with what happens as clocks are set; or when a device does."""
    if (schedule is None) == (device is None):
        raise Failure("of what? visant schedule next SCHEDULE, or --device DEVICE", ExitStatus.USAGE)
    if device is not None:
        return _of_device(session, device)
    told = session.cloud.get(path("schedules", _number(session, str(schedule)), "next"), count=count)
    _firings(session, told)
    return None


def _firings(session: Session, told: Row) -> None:
    if not session.out.as_json:
        session.out.note(f"{told['text']} ({told['zone']})")
    session.out.table(
        told["firings"],
        [
            Column("AT", lambda row: chosen.at(session, row["at"])),
            Column("IN WORDS", lambda row: row["text"]),
            Column("NOTE", lambda row: row["note"]),
        ],
        empty="it never fires again, or is off",
    )


def _of_device(session: Session, device_id: str) -> None:
    row = session.cloud.get(path("devices", device_id))
    found = []
    if row["next_scheduled_at"] is not None:
        text = f"every {when.length(row['interval_seconds'])}"
        found.append({"schedule": None, "name": "its own interval", "text": text, "next_at": row["next_scheduled_at"]})
    shared = chosen.there(session, path("devices", device_id, "schedules")) or {"schedules": []}
    found += [
        {"schedule": one["schedule_id"], "name": one["name"], "text": one["text"], "next_at": one["next_at"]}
        for one in shared["schedules"]
        if one["next_at"] is not None
    ]
    if not found:
        raise Failure(
            f"{device_id} takes no pictures by itself: visant schedule set 15m {device_id}", ExitStatus.NOT_FOUND
        )
    session.out.table(
        sorted(found, key=lambda one: str(when.parsed(one["next_at"]))),
        [
            Column("NEXT", lambda one: chosen.at(session, one["next_at"])),
            Column("BY", lambda one: one["name"]),
            Column("WHEN", lambda one: one["text"]),
        ],
        empty="",
    )


@app.command()
@connected
def add(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    every: Every = None,
    cron: Cron = None,
    zone: Zone = None,
    days: Days = None,
    windows: Windows = None,
    daylight: Daylight = None,
    pauses: Pauses = None,
    jitter: Jitter = None,
    expires: Expires = None,
    missed: Missed = None,
    devices: ToDevices = None,
    groups: Groups = None,
    tags: Tags = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say when it would fire, and keep nothing.")] = False,
) -> None:
    """Create a schedule for devices, groups and tags, and say when it fires."""
    try:
        rule = rules.rule(
            every=every,
            cron=cron,
            zone=zone,
            days=days,
            windows=windows,
            daylight=daylight,
            pauses=pauses,
            jitter=jitter,
            expires=expires,
            missed=missed,
        )
    except ValueError as error:
        raise Failure(str(error), ExitStatus.USAGE) from None
    seen, _ = session.cloud.ask("POST", path("schedules", "preview"), {"rule": rule}, repeatable=True)
    if dry_run:
        _firings(session, seen)
        return
    body = {"name": name, "rule": rule, "attached": _targets(devices, groups, tags)}
    made, _ = session.cloud.ask("POST", path("schedules"), body)
    first = seen["firings"][0]["text"] if seen["firings"] else "never"
    session.out.done(
        made, f"schedule {made['schedule_id']} for {made['devices']} devices: {seen['text']}; next: {first}"
    )


def _targets(devices: list[str] | None, groups: list[str] | None, tags: list[str] | None) -> dict[str, list[str]]:
    named = {"devices": devices, "groups": groups, "tags": tags}
    return {what: names for what, names in named.items() if names}


@app.command()
@connected
def attach(
    session: Session, schedule: Schedule, devices: ToDevices = None, groups: Groups = None, tags: Tags = None
) -> None:
    """Attach a schedule to more devices, groups and tags, from the next slot on."""
    _attachment(session, schedule, "attach", _targets(devices, groups, tags))


@app.command()
@connected
def detach(
    session: Session, schedule: Schedule, devices: ToDevices = None, groups: Groups = None, tags: Tags = None
) -> None:
    """Take a schedule from devices, groups and tags, from the next slot on."""
    _attachment(session, schedule, "detach", _targets(devices, groups, tags))


def _attachment(session: Session, schedule: str, what: str, targets: dict[str, list[str]]) -> None:
    if not targets:
        raise Failure("which? --device, --group, --tag", ExitStatus.USAGE)
    where = path("schedules", _number(session, schedule), what)
    row, _ = session.cloud.ask("POST", where, targets, repeatable=True)
    session.out.done(row, f"{row['name']} has {row['devices']} devices now")


@app.command()
@connected
def pause(session: Session, schedule: Schedule) -> None:
    """Let a schedule rest; it keeps what it is attached to."""
    _active(session, schedule, False)


@app.command()
@connected
def resume(session: Session, schedule: Schedule) -> None:
    """Let a schedule fire again."""
    _active(session, schedule, True)


def _active(session: Session, schedule: str, active: bool) -> None:
    where = path("schedules", _number(session, schedule))
    row, etag = session.cloud.ask("GET", where)
    body: dict[str, Any] = {"name": row["name"], "rule": row["rule"], "active": active}
    now, _ = session.cloud.ask("PUT", where, body, etag=etag)
    session.out.done(now, f"{now['name']}: next {when.local(now['next_at'])}" if active else f"{now['name']} rests")


@app.command()
@connected
def rm(session: Session, schedule: Schedule, yes: Yes = False) -> None:
    """Remove a schedule. What it has asked for already goes on."""
    where = path("schedules", _number(session, schedule))
    row: Row = session.cloud.get(where)
    session.sure(f"{row['name']} ({row['text']}) fires for {row['devices']} devices. Remove it?", yes=yes)
    session.cloud.ask("DELETE", where)
    session.out.done(row, f"schedule {row['name']} is gone")


@app.command()
@connected
def own(session: Session, where: Filter = None, groups: Groups = None, tags: Tags = None) -> None:
    """List the devices that have an interval of their own, and when each is due next."""
    rows = (row for row in chosen.found(session, filter_of(where, groups, tags)) if row["interval_seconds"])
    session.out.table(
        rows,
        [
            Column("DEVICE", lambda row: row["device_id"]),
            Column(
                "EVERY",
                lambda row: when.length(row["interval_seconds"]) if session.out.terminal else row["interval_seconds"],
            ),
            Column(
                "NEXT",
                lambda row: when.local(row["next_scheduled_at"]) if session.out.terminal else row["next_scheduled_at"],
            ),
            Column("STATE", lambda row: row["state"], state=True, spare=True),
        ],
        empty="no device has an interval: visant schedule set 15m DEVICE",
    )


@app.command("set")
@connected
def put(
    session: Session,
    every: Annotated[str, typer.Argument(metavar="EVERY", help="As 90s, 15m, 2h; or off.")],
    device_ids: SomeDevices = None,
    where: Filter = None,
    groups: Groups = None,
    tags: Tags = None,
    everyone: Everyone = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Give devices an interval of their own: a picture every so often; `off` ends it."""
    interval = None if every.lower() == "off" else usable(when.seconds, every, "EVERY")
    wanted = chosen.selection(device_ids, filter_of(where, groups, tags, everyone=everyone))
    if device_ids and not dry_run:
        for device_id in wanted["devices"]:
            row, _ = session.cloud.ask("PUT", path("devices", device_id, "schedule"), {"interval_seconds": interval})
            session.out.record(row, f"{device_id}: {_in_words(interval, row['next_scheduled_at'])}")
        return
    action = {"do": "schedule", "interval_seconds": interval}
    question = "{}: " + (
        "no pictures by themselves?" if interval is None else f"a picture every {when.length(interval)}?"
    )
    job = chosen.bulk(session, wanted, action, question=question, yes=yes, dry_run=dry_run)
    if job is not None:
        chosen.told(session, job, "devices are changed")


def _in_words(interval: float | None, first: str | None) -> str:
    if interval is None:
        return "takes no pictures by itself"
    return f"every {when.length(interval)}, first {when.local(first)}"
