"""`visant-connector run`: the parts, put together once, until the process is told to end."""

import os
from collections.abc import Sequence
from random import Random

import structlog

from visant_connector.admission import Admission, connect
from visant_connector.cloud_stream import CloudStream
from visant_connector.counters import Counters
from visant_connector.relay import Relay
from visant_connector.settings import ConnectorSettings
from visant_contract.env_keys import misspelt
from visant_runtime import lifecycle, logs
from visant_runtime.clock import Clock
from visant_runtime.device.network_use import NetworkMeter
from visant_runtime.heartbeat_start import start_heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.settings import SettingsError, fail, load
from visant_runtime.watchdog import watch_over

log = structlog.get_logger()


def run() -> int:
    """Until SIGTERM or SIGINT; returns the exit status."""
    notes = misspelt(os.environ)
    settings = load(ConnectorSettings, notes)
    logs.configure(format=settings.log_format, level=settings.log_level, secrets=settings.secrets())
    clock = Clock()
    heart = start_heartbeat("connector")
    counters = Counters(heart)
    try:
        redis = connect(settings.redis_url)
        stream = CloudStream(settings, clock, counters.left_out)
    except SettingsError as error:
        fail(str(error))
    relay = Relay(settings, stream, Admission(redis), counters, heart, clock, Random(), NetworkMeter(clock))
    _greet(settings, notes)

    async def work(stop: Stop) -> None:
        try:
            await relay.run(stop)
        finally:
            await stream.aclose()
            await redis.aclose()

    watch_over(heart)
    return lifecycle.run(work)


def _greet(settings: ConnectorSettings, notes: Sequence[str]) -> None:
    """The first lines that a technician waits for."""
    log.info("Visant Device Client v2.0 - Cloud-Triggered Architecture")
    log.info(f"Device ID: {settings.device_id}")
    log.info(f"API URL: {settings.api_url}")
    for note in notes:
        log.warning(note)
    if settings.token_in_the_clear:
        log.warning("API_URL is http: anybody on the way can read DEVICE_TOKEN; use https")
