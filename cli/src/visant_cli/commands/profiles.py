"""`visant profiles`: the clouds that a person knows."""

from typing import Annotated

import typer

from visant_cli import profiles
from visant_cli.failure import ExitStatus, Failure
from visant_cli.output import Column
from visant_cli.profiles import Profiles
from visant_cli.session import Session, connected

app = typer.Typer(help="Profiles: the clouds that you know.", no_args_is_help=True)


@app.command("ls")
@connected
def listing(session: Session) -> None:
    """List the profiles."""
    stored = profiles.load(profiles.path())
    rows = [
        {"profile": name, "url": one.url, "current": name == stored.current, "organisation": one.organisation}
        for name, one in stored.known.items()
    ]
    session.out.table(
        rows,
        [
            Column("", lambda row: "*" if row["current"] else " "),
            Column("PROFILE", lambda row: row["profile"]),
            Column("CLOUD", lambda row: row["url"]),
            Column("ORGANISATION", lambda row: row["organisation"], spare=True),
        ],
        empty="there is no profile: visant login URL",
    )


@app.command()
@connected
def use(session: Session, name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Mean this profile from now on."""
    stored = profiles.load(profiles.path())
    if name not in stored.known:
        raise Failure(
            f"there is no profile {name} (there is: {', '.join(stored.known) or 'none'})", ExitStatus.NOT_FOUND
        )
    profiles.save(profiles.path(), Profiles(name, stored.known))
    session.out.done({"profile": name}, f"{name} is meant from now on: {stored.known[name].url}")
