"""FakeMailServer: aiosmtpd, a real SMTP server, that keeps what it takes. In threads of its own; a context manager."""

import asyncio
import socket
import ssl
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class FakeMailServer:
    """`certificate`: a PEM file with key and chain, for STARTTLS, or from the first byte (`implicit`). `user` and
    `password` are asked for where they are set. `refuse`: recipients that it takes nothing for.
    """

    def __init__(
        self,
        certificate: str | None = None,
        *,
        implicit: bool = False,
        user: str | None = None,
        password: str | None = None,
        refuse: tuple[str, ...] = (),
        port: int = 0,
    ) -> None:
        self.mails: list[tuple[str, list[str], EmailMessage]] = []
        """(sender, recipients, mail), in their order."""
        self._user, self._password, self._refuse = user, password, refuse
        context = None
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
        more: dict[str, Any] = {} if user is None else {"authenticator": self._authenticate, "auth_required": True}
        if context is not None and not implicit:
            more |= {"tls_context": context, "require_starttls": True}
        self._controller = _Controller(
            self, hostname="127.0.0.1", port=port, ssl_context=context if implicit else None, **more
        )

    def _authenticate(self, server: SMTP, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        known = isinstance(data, LoginPassword) and (data.login, data.password) == (
            str(self._user).encode(),
            str(self._password).encode(),
        )
        return AuthResult(success=known, handled=False)

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        """aiosmtpd's."""
        if address in self._refuse:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        """aiosmtpd's."""
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append((envelope.mail_from, list(envelope.rcpt_tos), mail))
        return "250 taken"

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._controller.bound

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()


class _Controller(Controller):
    def _trigger_server(self) -> None:
        # aiosmtpd's own asks the port that it was given, which is 0
        with socket.create_connection(("127.0.0.1", self.bound), timeout=10):
            pass

    @property
    def bound(self) -> int:
        """The port on which it listens."""
        return int(cast(asyncio.Server, self.server).sockets[0].getsockname()[1])
