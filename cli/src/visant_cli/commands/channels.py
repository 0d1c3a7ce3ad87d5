"""`visant channels`: where messages about alerts go, and whether they arrive."""

import time
from itertools import islice
from typing import Annotated

import typer

from visant_cli import when
from visant_cli.cloud import path
from visant_cli.failure import ExitStatus, Failure, interrupted
from visant_cli.output import Column, Row
from visant_cli.session import Session, connected

app = typer.Typer(help="Channels: where alerts are told, and whether that arrives.", no_args_is_help=True)
Channel = Annotated[int, typer.Argument(metavar="CHANNEL", min=1, help="Its number.")]
_PATIENCE = 60.0
"""Seconds until a test that neither arrived nor failed is left to go on."""
_AGAIN = 0.5


@app.command()
@connected
def ls(session: Session) -> None:
    """List the channels, each with how its last attempt ended."""
    session.out.table(
        session.cloud.get(path("channels"))["channels"],
        [
            Column("CHANNEL", lambda row: row["channel_id"]),
            Column("NAME", lambda row: row["name"]),
            Column("STATE", lambda row: row["state"], state=True),
            Column("LAST ANSWER", lambda row: row["last_answer"]),
            Column("TYPE", lambda row: row["type"], spare=True),
            Column("TO", lambda row: row["target"], spare=True),
        ],
        empty="nobody is told of alerts: visant channels add email NAME ADDRESS",
    )


@app.command()
@connected
def add(
    session: Session,
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="webhook or email.")],
    name: Annotated[str, typer.Argument(metavar="NAME")],
    target: Annotated[str, typer.Argument(metavar="TO", help="A URL, or addresses with commas between.")],
) -> None:
    """Create a channel. The secret that signs a webhook is printed, once."""
    made, _ = session.cloud.ask("POST", path("channels"), {"type": kind, "name": name, "target": target})
    said = f"channel {made['channel_id']} is created: visant channels test {made['channel_id']}"
    if made["secret"]:
        session.out.secret(made, f"{said}. Its secret is shown this once:", made["secret"])
    else:
        session.out.done(made, said)


@app.command()
@connected
def rm(
    session: Session, channel_id: Channel, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Remove a channel, with its log and what was on its way."""
    row = session.cloud.get(path("channels", channel_id))
    session.sure(f"Nobody will be told by {row['name']} ({row['target']}) any more. Go on?", yes=yes)
    session.cloud.ask("DELETE", path("channels", channel_id))
    session.out.done({"channel_id": channel_id}, f"channel {channel_id} is gone")


@app.command()
@connected
def log(
    session: Session,
    channel_id: Channel,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
) -> None:
    """List what went to a channel and how it ended, newest first."""
    rows = session.cloud.pages(path("channels", channel_id, "deliveries"), "deliveries", limit=min(limit, 1000))
    session.out.table(
        islice(rows, limit),
        [
            Column("AT", lambda row: when.local(row["created_at"]) if session.out.terminal else row["created_at"]),
            Column("STATUS", lambda row: row["status"], state=True),
            Column("WHAT", lambda row: row["title"]),
            Column("ANSWER", lambda row: row["answer"]),
            Column("ATTEMPTS", lambda row: row["attempts"], spare=True),
        ],
        empty="nothing went to it yet",
    )


@app.command()
@connected
def test(session: Session, channel_id: Channel) -> None:
    """Send a test message by a channel, and say whether it arrived."""
    send_tests(session, [session.cloud.get(path("channels", channel_id))])


def send_tests(session: Session, rows: list[Row]) -> None:
    """Each channel one message; how each ended. Raises Failure where one did not arrive."""
    sent = []
    for row in rows:
        delivery, _ = session.cloud.ask("POST", path("channels", row["channel_id"], "test"))
        sent.append((row, delivery))
    bad = []
    until = time.monotonic() + _PATIENCE
    try:
        for row, delivery in sent:
            ended = _ended(session, row["channel_id"], delivery, until)
            arrived = ended["status"] == "delivered"
            if not arrived:
                bad.append(row["name"])
            word = ended["status"] if arrived or ended["ended_at"] else "has not arrived yet"
            session.out.record(
                {**ended, "channel_id": row["channel_id"]},
                f"{row['name']}: {word} ({ended['answer'] or 'no attempt yet'})",
            )
    except KeyboardInterrupt:
        raise interrupted(f"the messages go out all the same: visant channels log {rows[0]['channel_id']}") from None
    if bad:
        raise Failure(f"not arrived: {', '.join(bad)}", ExitStatus.ENDED_BADLY)


def _ended(session: Session, channel_id: int, delivery: Row, until: float) -> Row:
    """The delivery once it arrived, or once an attempt failed."""
    while True:
        page = session.cloud.get(path("channels", channel_id, "deliveries"), limit=100)["deliveries"]
        row: Row = next((one for one in page if one["delivery_id"] == delivery["delivery_id"]), delivery)
        if row["ended_at"] or row["answer"] or time.monotonic() > until:
            return row
        time.sleep(_AGAIN)
