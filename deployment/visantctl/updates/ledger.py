"""What the device remembers of its updates: history, quarantine, interruptions, the last good version."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from visantctl.host import durable
from visantctl.host.log import now
from visantctl.host.place import Place
from visantctl.updates.asked import Wish
from visantctl.updates.pending import Pending
from visantctl.version import is_version

_HISTORY_KEPT = 300
_KEPT = ("installed", "updated", "rolled_back_by_operator", "taken_over")


class Ledger:
    """Small files under `state/`, each written whole; `shared/update.json` is the one the services read."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._history = place.state / "history.jsonl"
        self._shown = place.shared / "history.jsonl"
        """For who is not root; state/ is closed to others."""

    @property
    def good(self) -> str | None:
        """The version that was kept last: what a boot starts and a failed update returns to.

        Where the card has damaged the file that says so: what an open update goes back to, else what `current` names.
        """
        value = durable.read_json(self._place.state / "good.json")
        version = value.get("version") if isinstance(value, dict) else None
        if isinstance(version, str) and is_version(version):
            return version
        pending = Pending.read(self._place.state)
        return pending.good if pending else self._place.linked_version(self._place.current)

    @good.setter
    def good(self, version: str) -> None:
        durable.write_json(self._place.state / "good.json", {"version": version, "at": now()})

    @property
    def good_since(self) -> int | None:
        """When the note of the good release was written last, in ns of the wall clock; None where there is none."""
        try:
            return (self._place.state / "good.json").stat().st_mtime_ns
        except OSError:
            return None

    @property
    def quarantine(self) -> dict[str, dict[str, str]]:
        """Version to `{"reason", "at"}`: releases that this device will not take again by itself."""
        value = durable.read_json(self._place.state / "quarantine.json")
        found = value.items() if isinstance(value, dict) else ()
        return {version: entry for version, entry in found if isinstance(entry, dict)}

    def put_in_quarantine(self, version: str, reason: str) -> None:
        """Refuse `version` from now on, unless forced."""
        entries = {**self.quarantine, version: {"reason": reason, "at": now()}}
        durable.write_json(self._place.state / "quarantine.json", entries)

    def release_from_quarantine(self, version: str) -> None:
        """Forget that `version` failed here: it has been kept since."""
        entries = self.quarantine
        if entries.pop(version, None) is not None:
            durable.write_json(self._place.state / "quarantine.json", entries)

    def was_kept(self, version: str) -> bool:
        """True for a release that was good here once, as far as the history goes back."""
        return any(event.get("to") == version and event.get("result") in _KEPT for event in self.history())

    def interruptions(self, version: str) -> int:
        """How often an update to `version` was cut short."""
        value = durable.read_json(self._place.state / "interruptions.json")
        count = value.get(version, 0) if isinstance(value, dict) else 0
        return count if isinstance(count, int) else 0

    def count_interruption(self, version: str) -> int:
        """Add one and return the sum; counts of other versions are of no use any more."""
        count = self.interruptions(version) + 1
        with contextlib.suppress(OSError):  # a full disk must not keep a boot from going back
            durable.write_json(self._place.state / "interruptions.json", {version: count})
        return count

    def forget_interruptions(self) -> None:
        """The update came to its end."""
        durable.remove_file(self._place.state / "interruptions.json")

    def write(self, result: str, **fields: Any) -> None:
        """Add an event to the history and tell the services. `result` is a word of docs/updates.md."""
        entry = {"at": now(), "result": result, **fields}
        lines = [*_lines(self._history)[-(_HISTORY_KEPT - 1) :], json.dumps(entry, sort_keys=True)]
        for file in (self._history, self._shown):
            durable.write_file(file, ("\n".join(lines) + "\n").encode(), mode=0o644)
        self.tell(entry)

    def write_once(self, result: str, *, id: str, **fields: Any) -> None:
        """`write`, unless the update with this id already has this result: a finished commit may be finished again."""
        if not any(event.get("id") == id and event.get("result") == result for event in self.history()[-5:]):
            self.write(result, id=id, **fields)

    def note(self, result: str, reason: str) -> None:
        """`write` for a check that changed nothing; the same again and again is remembered once, and told anew."""
        last = (self.history() or [{}])[-1]
        if (last.get("result"), last.get("reason")) == (result, reason):
            self.tell({"at": now(), "result": result, "reason": reason})
        else:
            self.write(result, reason=reason)

    def tell(self, entry: dict[str, Any]) -> None:
        """Write what the device's telemetry carries as `update`."""
        told = {key: value for key, value in entry.items() if key != "id"}
        if wish := Wish.read(self._place).told:
            told["updates"] = wish
        durable.write_json(
            self._place.shared / "update.json",
            {**told, "version": self.good, "quarantined_releases": sorted(self.quarantine)},
        )

    def tell_again(self) -> None:
        """The last event, beside what has changed since."""
        self.tell((self.history() or [{"at": now()}])[-1])

    def history(self) -> list[dict[str, Any]]:
        """All remembered events, oldest first; a damaged line is skipped."""
        events = []
        try:
            lines = _lines(self._history)
        except PermissionError:
            lines = _lines(self._shown)
        for line in lines:
            with contextlib.suppress(ValueError):
                events.append(json.loads(line))
        return [event for event in events if isinstance(event, dict)]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
