"""What a scenario is: a fault, the settings it needs, and what the design allows it to cost."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.arena import Arena

Fault = Callable[["Arena"], Awaitable[None]]


class Skipped(Exception):
    """This machine cannot run the scenario; the text says why."""


class NotStruck(AssertionError):
    """The fault had no effect, so the run proves nothing; the text says what was expected."""


@dataclass(frozen=True)
class Scenario:
    """`fault` runs at second 10 of 30, where nothing else is said, and returns when the fault is over."""

    name: str
    fault: Fault
    about: str
    device: Mapping[str, str] = field(default_factory=dict)
    """Settings of the device's services."""
    cloud: Mapping[str, str] = field(default_factory=dict)
    allowed: Mapping[str, str] = field(default_factory=dict)
    """Reasons with which a trigger may end without a picture, each with why the design says so."""
    prepare: Fault | None = None
    """Before anything is started."""
    after: Fault | None = None
    """When the triggers were posted, before the wait for outcomes."""
    check: Fault | None = None
    """When the outcomes are in; raises AssertionError or NotStruck."""
    proxied: bool = True
    """The device reaches its cloud through the fault proxy."""
    workers: bool = False
    """The cloud is two workers on one PostgreSQL."""
    begins: float = 10.0
    """Seconds from the first trigger to the fault."""
    triggers: int = 30
    short: bool = True
    """Part of the short form."""
    weight: int = 1
    """How many places it takes among those that run side by side; many for what disturbs its neighbours."""
    within: float = 180.0
    """Seconds to wait for the last outcome."""


SCENARIOS: dict[str, Scenario] = {}


def add(scenario: Scenario) -> None:
    """Makes it known to the runner. Names are unique."""
    assert scenario.name not in SCENARIOS, scenario.name
    SCENARIOS[scenario.name] = scenario
