"""`visant login`, `logout` and `status`: which cloud, and who one is there."""

import getpass
import sys
from dataclasses import replace
from typing import Annotated
from urllib.parse import urlsplit

import typer

from visant_cli import profiles, token_store
from visant_cli.cloud import path
from visant_cli.failure import CloudRefused, ExitStatus, Failure
from visant_cli.profiles import Profile, Profiles
from visant_cli.session import Session, connected, usable

_LONGEST = 8192


@connected
def login(
    session: Session,
    where: Annotated[str | None, typer.Argument(metavar="URL", help="As https://cloud.example.")] = None,
    keyring: Annotated[bool, typer.Option("--keyring", help="Keep the token in the system's keyring.")] = False,
    no_token: Annotated[bool, typer.Option("--no-token", help="For a cloud that asks for none (AUTH=open).")] = False,
) -> None:
    """Remember a cloud: its address and an API token, which is asked for, or read from standard input in a pipe.

    The token comes from `visant tokens add` or `visant-cloud create-token`. It is tried before it is stored.
    """
    stored = profiles.load(profiles.path())
    name = session.named_profile or stored.current or "default"
    named = where or session.named_url or (stored.known[name].url if name in stored.known else None)
    if named is None:
        raise Failure("which cloud? visant login https://cloud.example", ExitStatus.USAGE)
    address = usable(profiles.normal_url, named, "URL")
    if session.named_profile is None and name in stored.known and stored.known[name].url != address:
        name = _new_name(address, stored)  # another cloud is another profile
    if not profiles.NAME.fullmatch(name):
        raise Failure(f"--profile: {name!r}: letters, digits, . _ - and at most 64", ExitStatus.USAGE)
    if profiles.in_the_clear(address) and not no_token:
        session.out.note(f"{address} is not encrypted: whoever is on the way can read the token")
    token = None if no_token else _token(session, address)
    organisation = session.named_organisation
    wanted = Profile(address, organisation=organisation)
    cloud = session.cloud_at(wanted, token)
    try:
        seen = cloud.get(path("devices", "connected"))
    finally:
        cloud.close()
    if keyring and token is not None:
        token_store.keep_in_keyring(name, token)
    stored = profiles.load(profiles.path())  # another login may have come between
    kept = replace(wanted, token=None if keyring else token, keyring=keyring and token is not None)
    profiles.save(profiles.path(), Profiles(name, {**stored.known, name: kept}))
    place = "the keyring" if kept.keyring else str(profiles.path())
    session.out.done(
        {"profile": name, "url": address, "connected": seen["count"]},
        f"profile {name}: {address}, {seen['count']} devices are connected; kept in {place}",
    )


def _new_name(address: str, stored: Profiles) -> str:
    host = urlsplit(address).hostname or "cloud"
    same = next((name for name, one in stored.known.items() if one.url == address), None)
    if same is not None:
        return same
    base = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in host).strip("-") or "cloud"
    names = [base, *(f"{base}-{number}" for number in range(2, 1000))]
    return next(name for name in names if name not in stored.known)


def _token(session: Session, address: str) -> str:
    if session.named_token_file is not None:
        return token_store.from_file(session.named_token_file)
    if sys.stdin.isatty():
        return token_store.checked(getpass.getpass(f"API token for {address} (not shown): "), "the token")
    return token_store.checked(sys.stdin.readline(_LONGEST), "standard input")


@connected
def logout(session: Session) -> None:
    """Forget a profile and its token. The token stays valid: `visant tokens rm` ends it."""
    stored = profiles.load(profiles.path())
    name = session.named_profile or stored.current
    if name is None or name not in stored.known:
        raise Failure(f"there is no profile {name or ''}: visant profiles ls", ExitStatus.NOT_FOUND)
    if stored.known[name].keyring:
        token_store.forget_in_keyring(name)
    left = {other: one for other, one in stored.known.items() if other != name}
    current = stored.current if stored.current in left else next(iter(left), None)
    profiles.save(profiles.path(), Profiles(current, left))
    session.out.done(
        {"profile": name}, f"profile {name} is forgotten" + (f"; {current} is meant now" if current else "")
    )


@connected
def status(session: Session) -> None:
    """Say which cloud is meant, whether it answers, and who you are there."""
    name, found = session.profile
    answer = {"profile": name, "url": found.url, "token_from": session.token[1]}
    lines: list[tuple[str, object]] = [("profile", name), ("cloud", found.url), ("token from", answer["token_from"])]
    try:
        me = session.cloud.get(path("me"))
    except CloudRefused as error:
        if error.http_status != 404:
            raise  # of a cloud that knows no `me` yet, the next question tells
        me = None
    if me is not None:
        answer |= {"name": me["name"], "role": me["role"], "organisation": me["organisation_id"]}
        groups = "" if me["groups"] is None else f" of {', '.join(me['groups']) or 'no group'}"
        lines += [("you are", me["name"]), ("as", f"{me['role']}{groups}"), ("organisation", me["organisation_id"])]
    count = session.cloud.get(path("devices", "connected"))["count"]
    session.out.facts({**answer, "connected": count}, [*lines, ("devices connected", count)])
