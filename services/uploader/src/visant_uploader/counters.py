"""What happened since the start, counted: telemetry tells the cloud, the heartbeat whoever stands at the device."""

from collections import Counter


class Counters:
    """Names and running sums. Adding from several threads may at worst miscount, never break."""

    def __init__(self) -> None:
        self._sums: Counter[str] = Counter()

    def add(self, name: str, amount: float = 1) -> None:
        """`name` grows by `amount`."""
        self._sums[name] += amount  # type: ignore[assignment]

    def sums(self) -> dict[str, float]:
        """All sums, by name."""
        return dict(sorted(self._sums.items()))
