"""Prometheus metrics of a process that has no web server of its own. Off unless a port is set."""

from prometheus_client import start_http_server

from visant_runtime.settings import SettingsError


def serve_metrics(host: str, port: int) -> None:
    """`GET /metrics` on host:port from a thread of its own; port 0: nothing listens.

    Raises SettingsError where the address cannot be bound.
    """
    if port == 0:
        return
    try:
        start_http_server(port, addr=host)
    except OSError as error:
        raise SettingsError(
            f"HTTP_PORT={port}: cannot listen on {host}:{port} ({error.strerror}); set another"
        ) from None
