"""Messages to the services that Apprise knows (github.com/caronc/apprise), where `visant-cloud[apprise]` is installed.

Each message is sent by a process of its own (apprise_sender.py), which has an end, no proxy, no settings of this cloud,
and no way to an address that is not allowed. A URL holds tokens: it is written to that process's standard input, kept
as the channel's secret, and shown nowhere; no word of Apprise's own is either.
"""

import asyncio
import importlib.util
import json
import os
import sys
from urllib.parse import parse_qsl, urlsplit

from visant_cloud.channels.answer import Answer, line

TIMEOUT = 60.0
"""Seconds, with the wait for a turn: the start of the process alone takes one or two."""
AT_ONCE = 4
"""Processes of 60 MB."""
SCHEMAS = (
    *("discord", "gchat", "gotify", "gotifys", "matrix", "matrixs", "mmost", "mmosts", "msteams", "ntfy", "ntfys"),
    *("opsgenie", "pagerduty", "pbul", "pover", "rocket", "rockets", "signl4", "slack", "tgram", "threema", "twilio"),
    *("workflows", "wxteams", "zulip"),
)
"""Services that are asked by HTTP(S). The others of Apprise run programs, open sockets of their own, or are e-mail and
webhooks, which this cloud sends itself."""
_OURS = ("verify", "redirect", "rto", "cto", "store", "emojis")
"""What a URL may not choose: certificates are checked, redirects are not followed."""


def available() -> bool:
    """Whether it is installed."""
    return importlib.util.find_spec("apprise") is not None


def schema(url: str) -> str:
    """Of a URL that may be tried. Raises ValueError, whose text holds nothing of the URL but its schema."""
    if not url.isascii() or any(c.isspace() or not c.isprintable() for c in url) or "://" not in url:
        raise ValueError("it must be one URL in plain ASCII without spaces, e.g. tgram://token/chat")
    found = url.partition("://")[0].lower()
    if found not in SCHEMAS:
        raise ValueError(f"{found[:20]!r} is none of {', '.join(SCHEMAS)}")
    try:
        names = [name.lower() for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)]
    except ValueError:
        raise ValueError("it is no URL") from None
    for name in names:
        if name in _OURS:
            raise ValueError(f"{name}= is not for the URL to say: leave it out")
    return found


def shown(url: str) -> str:
    """What people see of it."""
    return f"{schema(url)}://..."


class AppriseSender:
    """One per process."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def send(self, url: str, title: str, text: str, *, allow_private: bool, timeout: float = TIMEOUT) -> Answer:
        """One attempt."""
        try:
            schema(url)
        except ValueError as error:
            return Answer(False, line(f"not sent: {error}"))
        if not available():
            return Answer(False, "not sent: this cloud has no Apprise, install visant-cloud[apprise]")
        order = {"url": url, "title": title, "text": text, "allow_private": allow_private}
        try:
            async with asyncio.timeout(timeout), self._turns:
                return await _ordered(order)
        except TimeoutError:
            return Answer(False, f"no answer within {timeout:g} s")

    async def readable(self, url: str, timeout: float = TIMEOUT) -> bool:
        """Whether Apprise can make sense of it; nothing is sent."""
        async with asyncio.timeout(timeout), self._turns:
            return (await _ordered({"url": url})).taken


async def _ordered(order: dict[str, object]) -> Answer:
    known = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/nonexistent"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "visant_cloud.channels.apprise_sender"),
        stdin=pipe,
        stdout=pipe,
        stderr=asyncio.subprocess.DEVNULL,
        env=known,
    )
    try:
        said, _ = await process.communicate(json.dumps(order).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        found = json.loads(said)
        return Answer(bool(found["taken"]), line(str(found["text"])))
    except (ValueError, KeyError, TypeError):
        return Answer(False, f"the process that sends it ended with {process.returncode}")
