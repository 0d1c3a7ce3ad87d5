"""A real redis-server, configured as the device's own is."""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

from emulation.console import Output
from emulation.processes import Child, clean_environment


class NoRedisServer(Exception):
    """None on this machine; the text says how to get one."""


def find_redis_server() -> str:
    """$REDIS_SERVER, the distribution's, or the one that came with the development environment."""
    named = os.environ.get("REDIS_SERVER")
    if named:
        if not shutil.which(named):
            raise NoRedisServer(f"REDIS_SERVER={named} cannot be run: name a redis-server, or unset it")
        return named
    beside = Path(sys.executable).parent / "redis-server"
    found = shutil.which("redis-server") or (str(beside) if os.access(beside, os.X_OK) else None)
    if found is None:
        raise NoRedisServer("no redis-server found: `make setup` brings one, so does `apt-get install redis-server`")
    return found


_PREFIX = re.compile(r"^\d+:[a-zA-Z-]+ (\(\d+\) |\d+ \w+ \d{4} [\d:.]+ )([.\-*#] )?")
_NOISE = ("oO0OoO0OoO0Oo", "Memory overcommit", "Configuration loaded", "Redis version=")


class _RedisLines:
    """Redis' own lines without its pid and date, and without what says nothing to a developer."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def line(self, name: str, text: str) -> None:
        if not any(noise in text for noise in _NOISE):
            self._output.line(name, _PREFIX.sub("", text))


def redis_child(name: str, port: int, folder: Path, output: Output, **settings: str) -> Child:
    """A redis-server on loopback that has every command on disk before it answers; `settings` are more options."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory": "64mb",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    } | {key.replace("_", "-"): value for key, value in settings.items()}
    argv = [find_redis_server()]
    for key, value in options.items():
        argv += [f"--{key}", value]
    return Child(name, argv, clean_environment(), _RedisLines(output), cwd=folder)


async def redis_answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether PING gets its PONG (a Redis that is still loading says so instead)."""
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"PING\r\n")
                return await reader.readline() == b"+PONG\r\n"
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
