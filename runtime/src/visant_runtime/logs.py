"""Logs are events with fields, one line each, on standard output.

text: `[INFO] stored item=abc`, for people (the journal and `docker logs` add the time). json: one
object a line with `at`, for machines. The standard library's loggers (uvicorn, httpx) go the same way.
"""

import logging
import sys
from collections.abc import Iterable
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from visant_runtime.redact import hide

LogFormat = Literal["text", "json"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def configure(*, format: LogFormat = "text", level: LogLevel = "INFO", secrets: Iterable[str] = ()) -> None:
    """Once per process, before the first line. `secrets` never appear, whatever somebody logs."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:  # a C locale must not turn a check mark into an exception
        reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.format_exc_info,
        _Masking(secrets),
    ]
    ending: list[Processor]
    if format == "json":
        ending = [
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ]
    else:
        ending = [_as_text]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _Masking:
    """Replaces secrets in every text of an event."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = frozenset(secrets)

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        for key, value in event.items():
            if isinstance(value, str):
                event[key] = hide(value, self._secrets)
            elif value is not None and not isinstance(value, bool | int | float):
                event[key] = hide(str(value), self._secrets)
        return event


def _as_text(logger: WrappedLogger, method: str, event: EventDict) -> str:
    level = event.pop("level", "info").upper()
    trace = event.pop("exception", None)
    parts = [f"[{level}] {_one_line(str(event.pop('event', '')))}"]
    parts += [f"{key}={_value(value)}" for key, value in event.items()]
    line = " ".join(parts)
    return f"{line}\n{trace}" if trace else line


def _value(value: Any) -> str:
    text = _one_line(f"{value:.3f}" if isinstance(value, float) else str(value))
    return f'"{text}"' if " " in text or not text else text


def _one_line(text: str) -> str:
    """A peer's text must not forge a second log line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
