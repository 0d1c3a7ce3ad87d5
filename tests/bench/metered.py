"""What an idle month costs a metered uplink: METERED=1, over TLS, each IP packet on the cable counted.

The command stream is watched over one ping. Reports come each 90 s instead of 7200 s, each over a connection of its own
as there (a kept one lives 75 s), and what one costs is multiplied.
"""

import asyncio
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.rows import Row
from tests.bench.uplink import MONTH, idle_scenario
from tests.faults.arena import Arena, arena
from tests.faults.network import cable
from tests.support.hard_network import Authority, TlsFront
from visant_connector.settings import METERED_PING_EVERY

MOST = 10e6
"""Bytes a month; the aim."""
_REPORTS_EVERY = 90.0
_REPORTS_EVERY_METERED = 7200.0
_ETH_P_ALL = 3
_TCP = 6
_FIN_OR_RST = 0x05


@dataclass
class Flow:
    """One TCP connection. `bytes` are those of its IP packets, both ways."""

    began: float
    ended: float = 0.0
    bytes: int = 0
    packets: list[tuple[float, int]] = field(default_factory=list)
    over: bool = False


class Sniffer:
    """Every IPv4 packet of one interface, by the device's port; as a context manager."""

    def __init__(self, interface: str, port: int) -> None:
        self.flows: dict[int, Flow] = {}
        self._port = port
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self._socket.bind((interface, _ETH_P_ALL))
        self._socket.settimeout(0.2)
        self._open = True
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        while self._open:
            try:
                packet = self._socket.recv(1 << 17)
            except TimeoutError:
                continue
            start = (packet[0] & 15) * 4
            if packet[0] >> 4 != 4 or packet[9] != _TCP:
                continue
            source, target = struct.unpack_from("!HH", packet, start)
            if self._port not in (source, target):
                continue
            now = time.monotonic()
            flow = self.flows.setdefault(target if source == self._port else source, Flow(now))
            flow.ended = now
            flow.packets.append((now, len(packet)))
            flow.bytes += len(packet)
            flow.over = flow.over or bool(packet[start + 13] & _FIN_OR_RST)

    def __enter__(self) -> "Sniffer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._thread.join()
        self._socket.close()


@dataclass(frozen=True)
class Cost:
    """Bytes, both ways."""

    start: int
    """Of a stream: connection, request, `connected`."""
    ping: float
    report: float

    def month(self, ping_every: float, report_every: float) -> float:
        """Of a device that waits, on one stream."""
        return MONTH * (self.ping / ping_every + self.report / report_every)


async def _measured(world: Arena, sniffer: Sniffer) -> Cost:
    await world.start()
    await asyncio.sleep(10.0)  # the replay is over, the first report sent
    began = time.monotonic()
    await asyncio.sleep(METERED_PING_EVERY)
    ended = time.monotonic()
    await asyncio.sleep(_REPORTS_EVERY)  # the last report's connection ends
    flows = sorted(sniffer.flows.values(), key=lambda flow: flow.ended - flow.began)
    stream, reports = flows[-1], [flow for flow in flows[:-1] if flow.over]
    assert not stream.over and len(reports) >= 2, flows
    pinged = sum(size for at, size in stream.packets if began < at <= ended)
    return Cost(
        sum(size for at, size in stream.packets if at <= began),
        pinged * METERED_PING_EVERY / (ended - began),
        sum(flow.bytes for flow in reports) / len(reports),
    )


async def metered_month(base: Path) -> list[Row]:
    """Takes 4 to 5 minutes."""
    scenario = idle_scenario("metered", {"METERED": "1", "TELEMETRY_INTERVAL": str(_REPORTS_EVERY)}, prepare=None)
    authority = Authority(base / "authority")
    async with arena(scenario, base) as world:
        await cable(world)
        assert world.cable is not None
        host = world.cable.here
        certificate = authority.certificate("cloud", address=host)
        with TlsFront(certificate, (host, world.cloud.port), host=host) as front:
            world.device.set(API_URL=front.url, SSL_CERT_FILE=str(authority.file))
            with Sniffer(world.cable.outside, front.port) as sniffer:
                cost = await _measured(world, sniffer)
    return [
        Row("tls_stream_start_bytes", cost.start),
        Row("tls_ping_bytes", cost.ping),
        Row("tls_report_bytes", cost.report),
        Row("tls_idle_month_bytes", cost.month(20.0, 300.0)),
        Row("metered_idle_month_bytes", cost.month(METERED_PING_EVERY, _REPORTS_EVERY_METERED), aim=MOST),
    ]
