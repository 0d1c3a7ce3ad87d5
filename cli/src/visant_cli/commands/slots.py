"""`visant slots`: what was due by schedules, what came, and for each gap its name."""

from itertools import islice
from typing import Annotated, Any

import typer

from visant_cli import chosen
from visant_cli.cloud import path
from visant_cli.commands.triggers import OfDevices, OfGroup, OfSite, OfTag, Since, Until, times
from visant_cli.output import Column, Row
from visant_cli.session import Session, connected

app = typer.Typer(help="Slots: what was due, what came, and why not.", no_args_is_help=True)


@app.command()
@connected
def ls(
    session: Session,
    devices: OfDevices = None,
    group: OfGroup = None,
    tag: OfTag = None,
    site: OfSite = None,
    gaps: Annotated[bool, typer.Option("--gaps", help="Only those without a picture that counts.")] = False,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 100,
) -> None:
    """List scheduled times and what became of each, newest first; of the last 24 hours where no time is named."""
    query: dict[str, Any] = {
        "device_id": devices,
        "group": group,
        "tag": tag,
        "site": site,
        **times(session, since, until),
    }
    rows = session.cloud.pages(path("slots"), "slots", gaps=gaps or None, **{"limit": min(limit, 1000), **query})
    session.out.table(
        islice(rows, limit),
        [
            Column("DUE", lambda row: chosen.at(session, row["scheduled_for"])),
            Column("DEVICE", lambda row: row["device_id"]),
            Column("STATE", lambda row: row["state"], state=True),
            Column("CAUSE", lambda row: row["reason"] or row["cause"]),
            Column("WHAT TO DO", lambda row: row["remedy"], spare=True),
            Column("RECORD", lambda row: row["record_id"], spare=True),
        ],
        empty="no slot fits",
    )


@app.command()
@connected
def summary(
    session: Session,
    devices: OfDevices = None,
    group: OfGroup = None,
    tag: OfTag = None,
    site: OfSite = None,
    by: Annotated[str | None, typer.Option("--by", metavar="WHAT", help="Also the worst device, site, group.")] = None,
) -> None:
    """Say which share of the slots of the last seven days has a useful picture, and why the others have not."""
    answer = session.cloud.get(path("slots", "summary"), device_id=devices, group=group, tag=tag, site=site, by=by)
    lines: list[tuple[str, object]] = [
        ("days", f"{answer['from']} to before {answer['to']} (UTC)"),
        ("due", answer["due"]),
    ]
    lines.append(("useful", _share(answer)))
    lines += [
        ("gap", f"{one['count']} {one['reason'] or one['cause']}" + (f". {one['remedy']}" if one["remedy"] else ""))
        for one in answer["gaps"]
    ]
    lines += [(f"{by} {one['name'] or '-'}", _share(one)) for one in answer["by"]]
    session.out.facts(answer, lines)


def _share(one: Row) -> str:
    percent = "-" if one["percent"] is None else f"{one['percent']:.1f} %"
    return f"{percent} ({one['useful']} of {one['due']})"
