"""What every command takes (`--profile`, `--url`, `--json` ...), and what it gets of it: a cloud to ask, an output.

A command is a function whose first parameter is a Session; `connected` puts the common options into its signature, so
that they stand in each command's help and may be written after it.
"""

import inspect
import os
import sys
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from visant_cli import profiles, token_store, when
from visant_cli.cloud import Cloud
from visant_cli.failure import ExitStatus, Failure
from visant_cli.output import Output
from visant_cli.profiles import Profile
from visant_cli.safe_text import shown

_PANEL = "Every command"
P = ParamSpec("P")
_COMMON: dict[str, tuple[Any, Any]] = {
    "as_json": (
        Annotated[bool, typer.Option("--json", help="JSON on standard output.", rich_help_panel=_PANEL)],
        False,
    ),
    "profile": (
        Annotated[
            str | None,
            typer.Option(
                "--profile", "-p", metavar="NAME", help="Which cloud: see `visant profiles ls`.", rich_help_panel=_PANEL
            ),
        ],
        None,
    ),
    "url": (
        Annotated[
            str | None,
            typer.Option(
                "--url", metavar="URL", help="The cloud's address, in place of a profile.", rich_help_panel=_PANEL
            ),
        ],
        None,
    ),
    "token_file": (
        Annotated[
            Path | None,
            typer.Option("--token-file", metavar="FILE", help="The API token is in this file.", rich_help_panel=_PANEL),
        ],
        None,
    ),
    "organisation": (
        Annotated[
            str | None,
            typer.Option("--organisation", metavar="NAME", help="Which organisation is meant.", rich_help_panel=_PANEL),
        ],
        None,
    ),
    "patience": (
        Annotated[
            str | None,
            typer.Option(
                "--timeout",
                metavar="TIME",
                help="Give a request up after this.  [default: 30s]",
                rich_help_panel=_PANEL,
            ),
        ],
        None,
    ),
}


class Session:
    """Of one command."""

    def __init__(
        self,
        *,
        as_json: bool = False,
        profile: str | None = None,
        url: str | None = None,
        token_file: Path | None = None,
        organisation: str | None = None,
        patience: str | None = None,
    ) -> None:
        self.out = Output(as_json=as_json)
        self._named = profile or os.environ.get("VISANT_PROFILE") or None
        self._url = url or (None if profile else os.environ.get("VISANT_URL")) or None
        self._token_file = token_file or (
            Path(os.environ["VISANT_TOKEN_FILE"]) if os.environ.get("VISANT_TOKEN_FILE") else None
        )
        self._organisation = organisation or os.environ.get("VISANT_ORGANISATION") or None
        self.timeout = usable(when.seconds, patience, "--timeout") if patience else 30.0
        self.now = datetime.now().astimezone()

    @cached_property
    def profile(self) -> tuple[str, Profile]:
        """Name and profile that are meant. Raises Failure where none is, or the one that is named is not there."""
        stored = profiles.load(profiles.path())
        if self._url is not None and self._named is None:
            url = usable(profiles.normal_url, self._url, "--url or VISANT_URL")
            same = next((name for name, one in stored.known.items() if one.url == url), None)
            return ("-", Profile(url)) if same is None else (same, stored.known[same])
        name = self._named or stored.current
        if name is None:
            raise Failure("no cloud is named: visant login URL, or set VISANT_URL", ExitStatus.USAGE)
        if name not in stored.known:
            known = ", ".join(stored.known) or "none"
            raise Failure(
                f"there is no profile {name} (there is: {known}): visant login URL --profile {name}", ExitStatus.USAGE
            )
        found = stored.known[name]
        if self._url is not None and (url := usable(profiles.normal_url, self._url, "--url")) != found.url:
            return name, Profile(url)  # another cloud gets no token of this one
        return name, found

    @cached_property
    def token(self) -> tuple[str | None, str]:
        """The token, or None, and in words where it is from."""
        if self._token_file is not None:
            return token_store.from_file(self._token_file), str(self._token_file)
        if os.environ.get("VISANT_TOKEN"):
            return token_store.checked(os.environ["VISANT_TOKEN"], "VISANT_TOKEN"), "VISANT_TOKEN"
        name, found = self.profile
        if found.keyring:
            return token_store.from_keyring(name), "the keyring"
        if found.token is not None:
            return token_store.checked(found.token, f"profile {name}"), str(profiles.path())
        return None, "nowhere"

    @cached_property
    def cloud(self) -> Cloud:
        """The cloud to ask."""
        return self.cloud_at(self.profile[1], self.token[0])

    def cloud_at(self, found: Profile, token: str | None) -> Cloud:
        """A cloud that is no stored profile's (yet)."""
        return Cloud(
            found.url,
            token,
            organisation=self._organisation or found.organisation,
            timeout=self.timeout,
            note=self.out.note,
        )

    @property
    def named_profile(self) -> str | None:
        """What `--profile` or VISANT_PROFILE said."""
        return self._named

    @property
    def named_url(self) -> str | None:
        """What `--url` or VISANT_URL said."""
        return self._url

    @property
    def named_organisation(self) -> str | None:
        """What `--organisation` or VISANT_ORGANISATION said."""
        return self._organisation

    @property
    def named_token_file(self) -> Path | None:
        """What `--token-file` or VISANT_TOKEN_FILE said."""
        return self._token_file

    def sure(self, question: str, *, yes: bool) -> None:
        """Asks a person before what cannot be taken back. Raises Failure where nobody says yes."""
        if yes:
            return
        if not sys.stdin.isatty() or not self.out.live:
            raise Failure(f"{question} Nobody is here to ask: say --yes", ExitStatus.USAGE)
        print(f"{shown(question)} [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Failure("nothing was changed", ExitStatus.INTERRUPTED)


def connected(command: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """`command` as typer sees it: with the common options in place of its Session."""

    def called(**given: Any) -> None:
        common = {name: given.pop(name) for name in _COMMON}
        session = Session(**common)
        try:
            command(session, **given)  # type: ignore[call-arg]  # P is the rest of its own signature
        finally:
            if "cloud" in session.__dict__:
                session.cloud.close()

    signature = inspect.signature(command, eval_str=True)
    own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in list(signature.parameters.values())[1:]]
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _COMMON.items()
    ]
    called.__name__, called.__doc__, called.__module__ = command.__name__, command.__doc__, command.__module__
    called.__signature__ = inspect.Signature([*own, *common])  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in (*own, *common)}
    return called


def usable(read: Callable[[str], Any], text: str, option: str) -> Any:
    """What `read` makes of the words of an option. Raises Failure with its line instead of a ValueError."""
    try:
        return read(text)
    except ValueError as error:
        raise Failure(f"{option}: {error}", ExitStatus.USAGE) from None
