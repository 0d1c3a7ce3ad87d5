"""`visant jobs`: what is done to many devices, how far it is, and what became of each."""

from itertools import islice
from typing import Annotated

import typer

from visant_cli import chosen, when
from visant_cli.cloud import path
from visant_cli.output import Column
from visant_cli.session import Session, connected

app = typer.Typer(help="Jobs: what is done to many devices at once.", no_args_is_help=True)
Job = Annotated[int, typer.Argument(metavar="JOB", min=1, help="Its number.")]


@app.command()
@connected
def ls(
    session: Session,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that have not ended.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
) -> None:
    """List jobs, newest first."""
    rows = session.cloud.pages(path("jobs"), "jobs", open=only_open or None, limit=min(limit, 1000))
    session.out.table(
        islice(rows, limit),
        [
            Column("JOB", lambda row: row["job_id"]),
            Column("WHAT", lambda row: row["kind"]),
            Column("STATUS", lambda row: row["status"], state=True),
            Column("DONE", lambda row: f"{row['done']}/{row['total']}"),
            Column("FAILED", lambda row: row["failed"]),
            Column("BY", lambda row: row["created_by"], spare=True),
            Column("SINCE", lambda row: chosen.at(session, row["created_at"]), spare=True),
        ],
        empty="there is no job",
    )


@app.command()
@connected
def show(
    session: Session,
    job_id: Job,
    every: Annotated[bool, typer.Option("--all", help="Every device, not only those that failed.")] = False,
) -> None:
    """Show what became of each device of a job that failed, or of all. With --json: the job and its items."""
    job = session.cloud.get(path("jobs", job_id))
    rows = chosen.items(session, job_id, failed=not every)
    if session.out.as_json:
        session.out.done({**job, "items": list(rows)}, "")
        return
    session.out.note(
        f"job {job_id}: {job['kind']} is {job['status']}: {job['done']} of {job['total']} done, {job['failed']} "
        f"failed, since {when.local(job['created_at'])}"
    )
    session.out.table(
        rows,
        [
            Column("DEVICE", lambda row: row["device_id"]),
            Column("OUTCOME", lambda row: row["outcome"] or "waiting", state=True),
            Column("DETAIL", lambda row: row["detail"]),
        ],
        empty="none failed" if not every else "it has no devices",
    )


@app.command()
@connected
def wait(session: Session, job_id: Job) -> None:
    """Wait until a job has ended. Exit status 7 where something failed."""
    job = chosen.ended(session, session.cloud.get(path("jobs", job_id)))
    chosen.told(session, job, "done")


@app.command()
@connected
def cancel(session: Session, job_id: Job) -> None:
    """End a job where it is. What was done stays."""
    job, _ = session.cloud.ask("POST", path("jobs", job_id, "cancel"), repeatable=True)
    session.out.done(job, f"job {job_id} is cancelled: {job['done']} of {job['total']} were done")
