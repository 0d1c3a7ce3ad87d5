"""The update in progress, written to the medium before each step that a power cut could split."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from visantctl.host import durable
from visantctl.host.log import now
from visantctl.version import is_version


def _named(version: object) -> bool:
    return isinstance(version, str) and is_version(version)


Phase = Literal["switching", "soaking", "committing", "rolling_back"]
Blame = Literal["if_better", "yes", "no"]


@dataclass(frozen=True)
class Pending:
    """One switch from `good` to `candidate`.

    switching     links and containers may be of either release, or mixed
    soaking       the candidate's containers were started and are being watched
    committing    judged fit; only bookkeeping is left
    rolling_back  judged unfit; the way is back to `good`
    """

    candidate: str
    good: str | None
    """The release to go back to; None at a first installation."""
    older: str | None
    """What `previous` pointed to before, restored by a rollback."""
    baseline: dict[str, bool]
    """What worked before the switch, as soak.Baseline."""
    kind: Literal["update", "rollback"] = "update"
    """rollback: an operator asked for the previous release."""
    phase: Phase = "switching"
    reason: str = ""
    blame: Blame = "if_better"
    """Whether a rollback puts the candidate in quarantine; a first interruption does not."""
    started_at: str = ""

    def write(self, state: Path) -> None:
        """Make it durable."""
        durable.write_json(state / "pending.json", asdict(self))

    def advance(self, state: Path, phase: Phase, reason: str = "", blame: Blame = "if_better") -> Pending:
        """The same in another phase, durable when this returns."""
        moved = replace(self, phase=phase, reason=reason or self.reason, blame=blame)
        moved.write(state)
        return moved

    @classmethod
    def begin(cls, state: Path, **fields: Any) -> Pending:
        """A new one, durable when this returns."""
        pending = cls(started_at=now(), **fields)
        pending.write(state)
        return pending

    @classmethod
    def read(cls, state: Path) -> Pending | None:
        """The one that is open, if any."""
        value = durable.read_json(state / "pending.json")
        if not isinstance(value, dict) or not _named(value.get("candidate")):
            return None
        # Written by another version of this file: its main fields decide.
        known = {key: value[key] for key in cls.__dataclass_fields__ if key in value}
        releases = {key: value[key] if _named(value.get(key)) else None for key in ("good", "older")}
        return cls(**{"baseline": {}, **known, **releases})

    @staticmethod
    def close(state: Path) -> None:
        """Nothing is open any more."""
        durable.remove_file(state / "pending.json")
