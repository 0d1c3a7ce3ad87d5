"""`visant-connector run | health | config | version`. `health` imports only the standard library."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from visant_runtime.entry import dispatch

if TYPE_CHECKING:
    from visant_connector.settings import ConnectorSettings
    from visant_runtime.lifecycle import Stop

SERVICE = "connector"


def main() -> int:
    """The command line."""
    return dispatch(
        "visant-connector",
        {
            "run": ("hold the cloud's command stream and admit its commands into Redis", _run),
            "health": ("one line, exit status 0 where the loop makes progress", _health),
            "config": ("print the settings in force", _config),
        },
    )


def _health(arguments: Sequence[str]) -> int:
    from visant_runtime.heartbeat import health_command

    return health_command(SERVICE)


def _config(arguments: Sequence[str]) -> int:
    from visant_connector.settings import ConnectorSettings
    from visant_runtime.settings import config_command

    return config_command(ConnectorSettings, arguments)


def _run(arguments: Sequence[str]) -> int:
    from visant_connector.settings import ConnectorSettings
    from visant_runtime import logs
    from visant_runtime.settings import SettingsError, fail, load

    settings = load(ConnectorSettings)
    logs.configure(format=settings.log_format, level=settings.log_level, secrets=settings.secrets())
    try:
        return _wired(settings)
    except SettingsError as error:
        fail(str(error))


def _wired(settings: "ConnectorSettings") -> int:
    from random import Random

    import structlog

    from visant_connector.admission import Admission, connect
    from visant_connector.cloud_stream import CloudStream
    from visant_connector.metrics import Metrics
    from visant_connector.relay import Relay
    from visant_runtime import lifecycle
    from visant_runtime.clock import Clock
    from visant_runtime.heartbeat_start import start_heartbeat

    clock = Clock()
    heart = start_heartbeat(SERVICE)
    metrics = Metrics(heart)
    redis = connect(settings.redis_url)
    stream = CloudStream(settings, clock, metrics.left_out)
    relay = Relay(settings, stream, Admission(redis), metrics, heart, clock, Random())

    log = structlog.get_logger()
    log.info("Visant Device Client v2.0 - Cloud-Triggered Architecture")
    log.info(f"Device ID: {settings.device_id}")
    log.info(f"API URL: {settings.api_url}")
    if settings.token_in_the_clear:
        log.warning("API_URL is http: anybody on the way can read DEVICE_TOKEN; use https")

    async def work(stop: "Stop") -> None:
        try:
            await relay.run(stop)
        finally:
            await stream.aclose()
            await redis.aclose()

    return lifecycle.run(work)


if __name__ == "__main__":
    sys.exit(main())
