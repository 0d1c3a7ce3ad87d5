"""What happened since the start, counted: telemetry carries the figures, /metrics shows them."""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric


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

    def collect(self) -> Iterable[Metric]:
        """For prometheus_client."""
        for name, value in self.sums().items():
            yield CounterMetricFamily(f"visant_uploader_{name}", name.replace("_", " "), value=value)

    def publish(self) -> None:
        """Shows the sums on /metrics."""
        REGISTRY.register(self)
