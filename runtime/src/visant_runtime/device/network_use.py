"""What this service sent and received since it started, as the kernel counts it for the network it runs in."""

from pathlib import Path

from visant_contract.telemetry import NetworkUse
from visant_runtime.clock import Clock

_DEV = Path("/proc/self/net/dev")
"""Of the process's own network namespace; its fields: proc_pid_net(5)."""
_RECEIVED, _SENT = 0, 8


class NetworkMeter:
    """Counts from its making on."""

    def __init__(self, clock: Clock, file: Path = _DEV) -> None:
        self._clock = clock
        self._file = file
        self._began = clock.boottime()
        self._first = self._counters()

    def used(self) -> NetworkUse | None:
        """Until now; None where this machine does not count."""
        now = self._counters()
        if self._first is None or now is None:
            return None
        # an interface that is taken away takes its counters with it
        received, sent = (max(0, after - before) for after, before in zip(now, self._first, strict=True))
        seconds = round(self._clock.boottime() - self._began, 1)
        return NetworkUse(seconds=seconds, received_bytes=received, sent_bytes=sent)

    def _counters(self) -> tuple[int, int] | None:
        """(received, sent) of all interfaces but loopback, bytes."""
        received = sent = 0
        try:
            for line in self._file.read_text().splitlines()[2:]:
                name, _, fields = line.partition(":")
                if name.strip() != "lo":
                    counts = fields.split()
                    received += int(counts[_RECEIVED])
                    sent += int(counts[_SENT])
        except (OSError, ValueError, IndexError):
            return None
        return received, sent
