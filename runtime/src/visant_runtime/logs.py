"""Logs are events with fields, one line each, on standard output.

text: `[INFO] stored item=abc`, for people (the journal and `docker logs` add the time). json: one
object a line with `at`, for machines. The standard library's loggers (uvicorn, httpx) go the same way.
"""

import logging
import os
import select
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from visant_runtime.redact import hide

LogFormat = Literal["text", "json"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

_PATIENCE = 0.5
"""Seconds that a line waits for a reader which does not read, the first time."""


def configure(*, format: LogFormat = "text", level: LogLevel = "INFO", secrets: Iterable[str] = ()) -> None:
    """Once per process, before the first line. `secrets` never appear, whatever somebody logs."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:  # a C locale must not turn a check mark into an exception
        reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    output = Output(sys.stdout)
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
        logger_factory=structlog.WriteLoggerFactory(output),  # type: ignore[arg-type] # it writes and flushes
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
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


class Output:
    """A text stream that loses lines rather than end or stop the process that writes them.

    A closed pipe, a full disk: the line is lost. A pipe whose reader does not read: lines are lost until it does, and
    the first waits _PATIENCE seconds. How many were lost is said when one gets through.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0
        self._stuck = False
        try:
            self._pipe = stream.fileno() if stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode) else None
        except (OSError, ValueError):  # no file behind it, or a closed one
            self._pipe = None

    def write(self, text: str) -> int:
        """All of it, or nothing; raises nothing."""
        try:
            if not self._room():
                raise BlockingIOError
            if self._lost:
                self._stream.write(f"[WARNING] log lines were lost: nobody took them count={self._lost}\n")
                self._lost = 0
            self._stream.write(text)
        except (OSError, ValueError):  # a closed stream is a ValueError
            self._lost += 1
        return len(text)

    def flush(self) -> None:
        """As far as that is possible; raises nothing."""
        with suppress(OSError, ValueError):
            if self._room():
                self._stream.flush()

    def _room(self) -> bool:
        """Whether the pipe takes PIPE_BUF bytes now (man 7 pipe), or there is none."""
        if self._pipe is None:
            return True
        self._stuck = not select.select([], [self._pipe], [], 0 if self._stuck else _PATIENCE)[1]
        return not self._stuck


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


def flush() -> None:
    """What was printed, before a fork or an end without ceremony; nothing where nobody takes it."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
