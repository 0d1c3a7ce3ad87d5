"""What may be shown of an address, a setting or a text: one reading of addresses, one way to hide what is secret.

What is not known to be harmless is not shown. Makers of network devices put secrets everywhere into an address: a
password with `@ / ? # [ ]` as it was typed, a token in the user's place, a key in the query or in the path.

The standard library alone. It lies in two places, here and in deployment/visantctl/host/, the same to the letter
(tests/unit/runtime/test_redact.py): a host has no packages of ours.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

MASK = "****"

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
_PLACE = re.compile(r"(\[[0-9a-f:.]+(?:%[\w.-]+)?\]|[\w.-]+)(?::(\d{1,5}))?(?=[/?#]|$)", re.IGNORECASE)
_HOSTLESS = ("file", "unix", "sqlite")
_WEB = ("http", "https")
_WORDS = {
    "live", "main", "sub", "video", "stream", "streaming", "channel", "channels", "h264", "h265", "mpeg4", "mjpeg",
    "media", "cam", "realmonitor", "onvif", "av_stream", "av0", "av1", "axis-media", "media.amp", "ch",
    "profile", "unicast", "trackid", "onvif-media", "tcp", "udp", "preview",
}  # fmt: skip
"""Of paths in makers' manuals; what else stands in the path of a video stream may be the key to it."""
_NAMED = re.compile(
    r"(?i)((?:token|password|passwd|passphrase|pwd|psk|secret|auth[_-]?key|api[_-]?key)(?!_FILE)[\w-]*[\"']?"
    r"\s*[=:]\s*)"
    r"(?:\"[^\"]+\"|'[^']+'|[^\s\"',;]+)"
)
_BEARER = re.compile(r"(?i)(bearer\s+|authorization[\"']?\s*[:=]\s*[\"']?\w+\s+)[\w.~+/=-]+")
_IN_TEXT = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"<>]+", re.IGNORECASE)
_BEHIND = ".,;:!)]}'"
_IP = 3
"""What an IP address is worth as a host, beside a name with a dot (2) and a word (1)."""
_SHORTEST = 4
"""Characters of a secret that is hidden wherever it stands; a shorter one would take words apart."""


@dataclass(frozen=True)
class Address:
    """`scheme://[userinfo@]host[:port][tail]`."""

    scheme: str
    userinfo: str | None
    """As it was written."""
    host: str
    """Without the brackets of an IPv6 address; empty for a file or a socket."""
    port: int | None
    tail: str
    """Path, query and fragment, as they were written."""
    certain: bool
    """There is one way to read it. Otherwise even the host's name may be a piece of a password."""

    @property
    def url(self) -> str:
        """As a library reads it: with user and password percent-encoded."""
        who = ""
        if self.userinfo is not None:
            user, colon, password = self.userinfo.partition(":")
            who = f"{_encoded(user)}{colon}{_encoded(password)}@"
        return f"{self.scheme}://{who}{self._place}{self.tail}"

    @property
    def shown(self) -> str:
        """What a person may read."""
        if not self.certain:
            return f"{self.scheme}://{MASK}"
        path, query = re.fullmatch(r"(?s)([^?#]*)(.*)", self.tail).groups()  # type: ignore[union-attr]
        who = "" if self.userinfo is None else f"{MASK}@"
        return f"{self.scheme}://{who}{self._place}{self._shown_path(path)}{query[:1] and query[0] + MASK}"

    @property
    def secrets(self) -> set[str]:
        """What must not appear in a text about it, in each form that it may take there."""
        found = set()
        if self.userinfo is not None:
            user, colon, password = self.userinfo.partition(":")
            # `admin:` is a user and no secret; one without a password is a token
            found = {self.userinfo, password if colon else user}
        path, query = re.fullmatch(r"(?s)([^?#]*)(.*)", self.tail).groups()  # type: ignore[union-attr]
        if self._shown_path(path) != path:
            found.add(path[1:])
        if query:
            found |= {query[1:], *(pair.partition("=")[2] for pair in re.split(r"[?&#]", query))}
        found |= {unquote(one) for one in found} | {_encoded(one) for one in found}
        return {one for one in found if len(one) >= _SHORTEST}

    @property
    def _place(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def _shown_path(self, path: str) -> str:
        if self.scheme in _HOSTLESS:
            return path
        pieces = path.split("/")
        if all(_is_harmless(one, web=self.scheme in _WEB) for one in pieces):
            return path
        return f"/{MASK}"


def read(text: str) -> Address:
    """The address in `text`. Raises ValueError, with a reason that quotes nothing of it.

    A password that was typed as it is may hold any character, so each `@` may be the one before the host. What stands
    behind it tells: an IP address rather than a name with a dot, that rather than a bare word; of two alike the later.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError("it has no scheme such as rtsp://")
    scheme, rest = match[1].lower(), match[2]
    if not rest.isprintable():
        raise ValueError("it holds a character that cannot be seen: type it anew")
    if scheme in _HOSTLESS and rest.startswith("/"):
        return Address(scheme, None, "", None, rest, True)
    readings = []
    for at in [-1, *(match.start() for match in re.finditer("@", rest))]:
        place = _PLACE.match(rest, at + 1)
        port = None if place is None or place[2] is None else int(place[2])
        if place is None or (port is not None and port > 65535) or at == 0:
            continue
        readings.append((_worth(place[1]), at, place[1].strip("[]"), port, rest[place.end() :]))
    if not readings:
        raise ValueError(_why_not(rest))
    _, at, host, port, tail = max(readings, key=lambda reading: reading[:2])
    # Of several, one that leads to an IP address is believed: no password ends in `@10.0.0.5`.
    certain = len(readings) == 1 or [reading[0] for reading in readings].count(_IP) == 1
    return Address(scheme, None if at < 0 else rest[:at], host, port, tail, certain)


def shown(text: str) -> str:
    """A setting's value as a person may read it; what is no address stays."""
    if "://" not in text:
        return text
    try:
        return read(text).shown
    except ValueError:
        scheme, _, rest = text.partition("://")
        if not rest or (scheme.lower() in _WEB and not set("@?#:") & set(rest)):  # a slip in the host's name
            return text
        return f"{scheme}://{MASK}" if scheme.isprintable() and " " not in scheme else MASK


def secrets_in(text: str) -> set[str]:
    """What is secret in a setting's value: all of it behind the scheme where it cannot be read for sure."""
    if "://" not in text:
        return set()
    whole = {piece for piece in re.split(r"[@\s]", text.partition("://")[2]) if len(piece) >= _SHORTEST}
    try:
        address = read(text)
    except ValueError:
        return whole
    return address.secrets if address.certain else address.secrets | whole


def redact(text: str, known: Iterable[str] = ()) -> str:
    """`text` without the `known` secrets, what is secret in an address, and what is called a password or a token."""
    return _NAMED.sub(rf"\1{MASK}", _BEARER.sub(rf"\1{MASK}", hide(text, known)))


def hide(text: str, known: Iterable[str] = ()) -> str:
    """The same, but for names: a sentence of ours about a token stays as it is."""
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, MASK)
    return _IN_TEXT.sub(_in_text, text) if "://" in text else text


def _in_text(found: re.Match[str]) -> str:
    address = found[0].rstrip(_BEHIND)
    return shown(address) + found[0][len(address) :]


def _is_harmless(segment: str, *, web: bool) -> bool:
    if web:  # a folder's name, where it is no key
        return re.fullmatch(r"[\w.~-]{0,40}", segment) is not None and not re.fullmatch(r"[0-9a-fA-F-]{16,}", segment)
    word = re.sub(r"[_-]?[0-9]{1,2}$", "", segment).lower()
    known = word in _WORDS or segment.lower() in _WORDS
    return not segment or known or re.fullmatch(r"[0-9]{1,2}|[0-9]0[1-3]", segment) is not None


def _encoded(text: str) -> str:
    """Percent-encoded; a `%41` that stands there already stays."""
    return re.sub(r"%25(?=[0-9A-Fa-f]{2})", "%", quote(text, safe="!$&'()*+,;=~-._"))


def _worth(host: str) -> int:
    """How much this looks like a host: an address, a name with a dot, a word."""
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return 2 if host == "localhost" or re.search(r"\w\.\w", host) else 1
    return _IP


def _why_not(rest: str) -> str:
    if re.match(r"(?:$|[/?#:@])", rest):
        return "it names no host"
    if re.search(r"@", rest):
        return "no host and port follow the @; in a password write @ as %40, / as %2F, # as %23, ? as %3F, : as %3A"
    return "its host or port cannot be read; in a password write @ as %40, / as %2F, # as %23, ? as %3F, : as %3A"
