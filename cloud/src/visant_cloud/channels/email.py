"""E-mail, through the SMTP server of SMTP_URL."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from ssl import SSLContext
from urllib.parse import parse_qsl, unquote, urlsplit

from visant_cloud.channels.answer import Answer, line

TIMEOUT = 20.0
"""Seconds for each step; a server that greylists says so at once."""
MAX_RECIPIENTS = 10
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*{_LABEL}")
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")


@dataclass(frozen=True)
class Server:
    """SMTP_URL, taken apart."""

    host: str
    port: int
    tls: bool
    """From the first byte (smtps://)."""
    starttls: bool
    """Before anything else is said; never left out where the server does not offer it."""
    user: str | None
    password: str | None


def server(url: str) -> Server:
    """Raises ValueError, whose text says what SMTP_URL must be.

    `smtps://` is TLS from the first byte (465), `smtp://` STARTTLS (587). `?tls=none` sends in the clear, which only a
    relay on the same host or network deserves, and no password goes that way.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps"):
        raise ValueError("it must begin with smtp:// or smtps://")
    if not parts.hostname or parts.path not in ("", "/") or parts.fragment:
        raise ValueError("it must be smtp://user:password@host:port")
    tls, options = parts.scheme == "smtps", dict(parse_qsl(parts.query, keep_blank_values=True))
    clear = options.pop("tls", None)
    if options or clear not in (None, "none") or (tls and clear):
        raise ValueError("after the ? stands nothing but tls=none, and that of smtp:// alone")
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    if (user is None) != (password is None):
        raise ValueError("user and password belong together")
    if clear and user is not None:
        raise ValueError("with tls=none no password is sent: leave user and password out, or tls=none")
    return Server(parts.hostname, parts.port or (465 if tls else 587), tls, not tls and clear is None, user, password)


def address(value: str) -> str:
    """A plain address, `anna@example.org`; ValueError for anything else, names and quoting included."""
    local, at, domain = value.strip().rpartition("@")
    dots = ".." not in local and local.strip(".") == local
    good = at and _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain) and dots
    if not good:
        raise ValueError(f"{value[:80]!r} is no address: write one like anna@example.org")
    return f"{local}@{domain}"


def addresses(value: str) -> list[str]:
    """Addresses with commas between; ValueError for anything else."""
    found = list(dict.fromkeys(address(one) for one in value.split(",")))
    if len(found) > MAX_RECIPIENTS:
        raise ValueError(f"at most {MAX_RECIPIENTS} addresses")
    return found


def message(
    sender: str, to: list[str], title: str, text: str, message_id: str, at: datetime, *, automatic: bool = True
) -> EmailMessage:
    """Plain text. A line break in the title, or anything else that could begin another header, becomes a space."""
    made = EmailMessage()
    local, _, domain = sender.rpartition("@")
    made["From"] = Address("Visant", local, domain)
    made["To"] = ", ".join(to)
    made["Subject"] = line(title)
    made["Date"] = format_datetime(at)
    made["Message-ID"] = f"<{message_id}@{domain}>"  # the same at each attempt: a second one is known as such
    if automatic:
        made["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    made.set_content(text)
    return made


async def send(
    where: Server,
    mail: EmailMessage,
    sender: str,
    to: list[str],
    *,
    tls: SSLContext | None = None,
    timeout: float = TIMEOUT,
) -> Answer:
    """One attempt. It is taken where the server takes it for at least one of the addresses; the others are named."""
    import aiosmtplib  # for whoever sends: most processes of this program do not

    try:
        refused, said = await aiosmtplib.send(
            mail,
            sender=sender,
            recipients=to,
            hostname=where.host,
            port=where.port,
            username=where.user,
            password=where.password,
            use_tls=where.tls,
            start_tls=where.starttls,
            timeout=timeout,
            tls_context=tls,
        )
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        return Answer(False, line(f"{type(error).__name__}: {error}"))
    left_out = "".join(f"; {one} was refused: {why}" for one, why in refused.items())
    return Answer(True, line(f"{said}{left_out}"))
