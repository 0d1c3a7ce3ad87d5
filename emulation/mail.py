"""The mail server of an emulation: aiosmtpd, a real SMTP server on loopback. What it takes becomes files and a line."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

from emulation.console import Output

READER = "you@emulation.example"
"""Whom alerts are mailed to."""
SENDER = "alerts@emulation.example"


class Mailbox:
    """Keeps each mail as one file of `folder`, and says on `output` what it was, where it is and what it links to."""

    def __init__(self, folder: Path, output: Output) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._output = output
        self._count = len(list(folder.glob("*.eml")))

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """aiosmtpd's."""
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        subject = str(mail["Subject"])
        self._count += 1
        name = re.sub(r"[^a-z0-9]+", "-", subject.lower()).strip("-")[:60]
        path = self.folder / f"{self._count:03d}-{name}.eml"
        path.write_bytes(envelope.content)
        link = next((line for line in mail.get_content().splitlines() if line.startswith("http")), "no link")
        self._output.line("mail", f'"{subject}" to {", ".join(envelope.rcpt_tos)}: {_short(path)}, {link}')
        return "250 kept"


@asynccontextmanager
async def serving(mailbox: Mailbox, port: int) -> AsyncIterator[None]:
    """Takes mail at this port of loopback."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="emulation", loop=loop), "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
