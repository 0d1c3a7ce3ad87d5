"""DATABASE_URL as people and hosting platforms write it: libpq's words, for a driver that knows most of them. Pure.

The words: PostgreSQL's documentation, 34.1.2 "Parameter Key Words". asyncpg reads a URL itself, and sends each word
that it does not know to the server as a setting, which refuses the connection.
"""

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_READ_BY_THE_DRIVER = {
    *("host", "port", "user", "password", "passfile", "dbname", "service", "target_session_attrs", "krbsrvname"),
    *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
}
_SENT_TO_THE_SERVER = {"application_name", "options", "client_encoding"}
_WITHOUT_EFFECT_HERE = {
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
    *("gssencmode", "gssdelegation", "sslcompression", "sslsni", "load_balance_hosts", "fallback_application_name"),
}
"""They tune what the driver does its own way; without them the connection is as safe."""
_TIMEOUT = "connect_timeout"
_CONNECT_WITHIN = 10.0
"""Seconds; a pooler whose server connections are all taken lets one wait two minutes, and a request with it."""
_BINDING = "channel_binding"
_POOLER = "pgbouncer"


def normal(value: str) -> str:
    """The URL that `connect_args` reads. Raises ValueError with one line that shows no secret."""
    rest = value.partition("://")[2]
    try:
        parts = urlsplit(f"postgresql://{rest}")
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError(_odd_characters()) from None
    if parts.fragment or "@" in parts.path:
        raise ValueError(_odd_characters())
    query: dict[str, str] = {}
    for key, word in given:
        name = "sslmode" if key == "ssl" else key  # as SQLAlchemy calls it
        _check(name, word)
        query[name] = word
    _check_together(query)
    if query.get("sslmode") in ("verify-ca", "verify-full"):
        query.setdefault("sslrootcert", "system")  # libpq looks for a file in the home folder, which no service has
    return f"postgresql://{_authority(parts.netloc)}{parts.path}" + (f"?{urlencode(query)}" if query else "")


def _odd_characters() -> str:
    return "it cannot be taken apart: write @ : / ? # % in user and password as %40 %3A %2F %3F %23 %25"


def _authority(netloc: str) -> str:
    """User and password quoted anew: people paste passwords with an `@`, and the driver splits at the first."""
    who, at, where = netloc.rpartition("@")
    user, colon, password = who.partition(":")
    return f"{quote(unquote(user), safe='')}{colon}{quote(unquote(password), safe='')}{at}{where}"


def _check(key: str, word: str) -> None:
    if key == "sslmode" and word not in _MODES:
        raise ValueError(f"sslmode={word[:40]}: one of {', '.join(_MODES)}")
    if key == _TIMEOUT and not word.isdigit():
        raise ValueError(f"{_TIMEOUT}={word[:40]}: whole seconds, e.g. 10")
    if key in ("sslrootcert", "sslcert", "sslkey") and word != "system" and not Path(word).is_file():
        raise ValueError(f"{key}={word[:200]}: there is no such file here; `sslrootcert=system` takes the system's own")
    if key == _BINDING and word not in ("disable", "prefer", "require"):
        raise ValueError(f"{_BINDING}={word[:40]}: one of disable, prefer, require")
    known = _READ_BY_THE_DRIVER | _SENT_TO_THE_SERVER | _WITHOUT_EFFECT_HERE | {_TIMEOUT, _BINDING, _POOLER}
    if key not in known:
        raise ValueError(f"the parameter `{key[:40]}` is none of PostgreSQL's connection parameters: take it away")


def _check_together(query: dict[str, str]) -> None:
    if query.get("sslrootcert") == "system" and query.get("sslmode", "verify-full") != "verify-full":
        raise ValueError(f"sslrootcert=system with sslmode={query['sslmode']} is unsafe: write sslmode=verify-full")


def connect_args(url: str) -> dict[str, Any]:
    """What asyncpg's `connect` takes for a URL that `normal` made."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    seconds = int(query.get(_TIMEOUT, 0))  # 0 means for ever in libpq; nobody waits so long for an answer of ours
    found: dict[str, Any] = {"timeout": float(max(2, seconds)) if seconds else _CONNECT_WITHIN}
    if query.get("sslrootcert") == "system":
        context = ssl.create_default_context()
        context.check_hostname = query.get("sslmode", "verify-full") == "verify-full"
        found["ssl"] = context
        query = {key: word for key, word in query.items() if key not in ("sslrootcert", "sslmode")}
    kept = {key: word for key, word in query.items() if key in _READ_BY_THE_DRIVER | _SENT_TO_THE_SERVER}
    # quote, not quote_plus: in `options` a + would reach the server
    words = "&".join(f"{key}={quote(word, safe='')}" for key, word in kept.items())
    found["dsn"] = f"postgresql://{parts.netloc}{parts.path}" + (f"?{words}" if words else "")
    return found


def warnings(url: str) -> list[str]:
    """What the driver cannot do of that which the URL asks for, one line each."""
    query = dict(parse_qsl(urlsplit(url).query))
    if query.get(_BINDING) == "require":
        return [
            f"DATABASE_URL: {_BINDING}=require is beyond this driver; "
            "sslmode=verify-full proves who the server is instead"
        ]
    return []


def pooled(url: str) -> bool:
    """Whether the URL says that a pooler in transaction mode answers there (`pgbouncer=true`, as some write)."""
    return dict(parse_qsl(urlsplit(url).query)).get(_POOLER, "").lower() in ("true", "1", "yes")


def as_pooled(url: str) -> str:
    """The URL, saying so."""
    return url if pooled(url) else f"{url}{'&' if '?' in url else '?'}{_POOLER}=true"


def shown(url: str) -> str:
    """For people: without the password, and without parameters."""
    parts = urlsplit(url)
    if not url.startswith("postgresql"):
        return url
    user, at, where = parts.netloc.rpartition("@")
    return f"postgresql://{user.partition(':')[0]}{at}{where}{parts.path}"
