"""`visant enrol`: letting in many devices at once, by one-time codes, and how far each is."""

from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from visant_cli import chosen, files, when
from visant_cli.cloud import path
from visant_cli.failure import ExitStatus, Failure
from visant_cli.output import Column
from visant_cli.session import Session, connected, usable

app = typer.Typer(help="Enrolment codes: batches for new devices, and how far each is.", no_args_is_help=True)
Batch = Annotated[int, typer.Argument(metavar="BATCH", min=1, help="Its number.")]


@app.command()
@connected
def ls(
    session: Session, limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20
) -> None:
    """List batches of codes, newest first, and how far their devices are."""
    rows = session.cloud.pages(path("enrol-batches"), "batches", limit=min(limit, 100))
    session.out.table(
        islice(rows, limit),
        [
            Column("BATCH", lambda row: row["batch_id"]),
            Column("TITLE", lambda row: row["title"]),
            Column(
                "HOW FAR", lambda row: ", ".join(f"{count} {state}" for state, count in row["states"].items() if count)
            ),
            Column("UNTIL", lambda row: chosen.at(session, row["expires_at"])),
            Column("GROUP", lambda row: row["group"], spare=True),
        ],
        empty="there is no batch: visant enrol add TITLE --count 10",
    )


@app.command()
@connected
def show(session: Session, batch_id: Batch) -> None:
    """Show how far each device of a batch is: code used, connected, first picture."""
    batch = session.cloud.get(path("enrol-batches", batch_id))
    session.out.table(
        batch["codes"],
        [
            Column("CODE", lambda row: row["number"]),
            Column("HOW FAR", lambda row: row["state"]),
            Column("DEVICE", lambda row: row["device_id"]),
            Column("NAME", lambda row: row["name"]),
            Column("USED", lambda row: chosen.at(session, row["used_at"]), spare=True),
        ],
        empty="it has no codes",
    )


@app.command()
@connected
def add(
    session: Session,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What the batch is for.")],
    count: Annotated[
        int | None, typer.Option("--count", "-c", min=1, help="So many codes, for devices that say their ids.")
    ] = None,
    devices: Annotated[
        list[str] | None,
        typer.Option("--device", "-d", metavar="DEVICE[=NAME]", help="A code for it; again for others."),
    ] = None,
    group: Annotated[str | None, typer.Option("--group", "-g", metavar="GROUP", help="Which they join.")] = None,
    last: Annotated[str, typer.Option("--for", metavar="TIME", help="How long the codes are good for.")] = "7d",
) -> None:
    """Create one-time codes for new devices, and print them, once."""
    if (count is None) == (not devices):
        raise Failure("say --count N, or --device DEVICE for each: one of them", ExitStatus.USAGE)
    whom: list[dict[str, Any]] = []
    for one in devices or []:
        device_id, _, name = one.partition("=")
        whom.append({"device_id": device_id or None, "name": name or None})
    body = {"title": title, "group": group, "hours": usable(when.seconds, last, "--for") / 3600}
    made, _ = session.cloud.ask(
        "POST", path("enrol-batches"), {**body, **({"devices": whom} if whom else {"count": count})}
    )
    if session.out.as_json:
        session.out.done(made, "")
        return
    session.out.note(f"batch {made['batch_id']}; each code is good once, until {when.local(made['expires_at'])}:")
    for code in made["codes"]:
        session.out.record(code, [code["code"], code["device_id"] or "", code["name"] or ""])


@app.command()
@connected
def labels(
    session: Session,
    batch_id: Batch,
    into: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="A page to print.")],
) -> None:
    """Write a sheet of labels with QR codes, to print. Its codes are new ones; those told before are worthless."""
    page = session.cloud.text("POST", path("enrol-batches", batch_id, "labels"))
    files.whole(into, [page.encode()])
    session.out.done({"batch_id": batch_id, "file": str(into)}, f"{into} holds the labels; print it, then remove it")


@app.command()
@connected
def rm(session: Session, batch_id: Batch, yes: chosen.Yes = False) -> None:
    """Make a batch's unused codes worthless."""
    batch = session.cloud.get(path("enrol-batches", batch_id))
    session.sure(f"The unused codes of {batch['title']} will be worth nothing. Go on?", yes=yes)
    session.cloud.ask("DELETE", path("enrol-batches", batch_id))
    session.out.done(batch, f"the unused codes of {batch['title']} are worthless")
