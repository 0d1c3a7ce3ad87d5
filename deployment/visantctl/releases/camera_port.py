"""On which port of this device's loopback the camera is shown: one that is free, so that a taken one stops no picture.

A published port that somebody else listens on keeps the camera's container from starting, and the uploader's with it.
The Engine takes a range (`8080-8089`), but goes on to the range's next port at each start of a container (measured on
Engine 26.1.5: 8080, 8081, 8082, ...), so the page's address would change with every restart. Chosen here it stays.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable

from visantctl.host.env_file import read_env_file
from visantctl.host.place import Place

DEFAULT = 8080
TRIES = 10
"""Ports from the wanted one on."""


def wanted(place: Place) -> int | None:
    """CAMERA_PORT; None where it is no single port (a range, 0): then it is the Engine's to choose."""
    text = os.environ.get("CAMERA_PORT") or read_env_file(place.env_file).get("CAMERA_PORT") or str(DEFAULT)
    return int(text) if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535 else None


def choose(first: int, held: Iterable[int], free: Callable[[int], bool]) -> int:
    """`first`, or the nearest after it that is free; `first` where none is, so that the Engine says what is wrong.

    `held`: what the running camera is published on. It stays there: another port would be a restart of the camera.
    """
    ports = range(first, min(first + TRIES, 65536))
    mine = [port for port in held if port in ports]
    return mine[0] if mine else next((port for port in ports if free(port)), first)


def is_free(port: int) -> bool:
    """Whether the Engine could listen on it on 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as docker-proxy: the rest of a connection is none
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True
