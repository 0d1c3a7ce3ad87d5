"""The spool against a model, with a crash at every step of every operation.

What was acknowledged has an outcome, on the disk or at the cloud, whatever happened in between; nothing has two.
A crash here ends the operation at a named kill point and begins again from the files; that fsync keeps what it
promises is the file system's part (measured apart).
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.examples import examples
from tests.unit.uploader.conftest import Make
from visant_contract.ids import trigger_key
from visant_contract.outcome import Reason
from visant_uploader.spool import store as spool_module
from visant_uploader.spool import writing
from visant_uploader.spool.figures import count
from visant_uploader.spool.file_format import SpoolHeader, decode
from visant_uploader.spool.layout import Destination

MEMORY = Path("/dev/shm")  # a crash here is of the process, not of the disk: fsync may cost nothing
HERE = Destination("cloud-1", "FLOOR1")


class PowerCut(BaseException):
    """Ends an operation as SIGKILL would: no handler of ours may catch it."""


class Model(RuleBasedStateMachine):
    make: type[Make]  # set by the test below

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="spool-model-", dir=MEMORY if MEMORY.is_dir() else None))
        self.cut_at: int | None = None
        self.steps = 0
        self._patches = [patch.object(module, "kill_point", self._step) for module in (writing, spool_module)]
        for one in self._patches:
            one.start()
        self.number = 0
        self.in_queue: set[str] = set()
        self.acknowledged: set[str] = set()
        self.at_cloud: dict[str, set[str]] = {}
        self._open()

    def _step(self, name: str) -> None:
        self.steps += 1
        if self.cut_at is not None and self.steps > self.cut_at:
            raise PowerCut(name)

    def _open(self) -> None:
        self.spool = self.make.spool(self.root / "spool")
        self.spool.open()

    def _at_work(self, cut_at: int | None, operation: Callable[[], object]) -> bool:
        """Runs it; True where it came to its end. After a crash everything begins from the files."""
        self.cut_at, self.steps = cut_at, 0
        try:
            operation()
        except PowerCut:
            self.cut_at = None
            self.spool.close()
            self._open()
            return False
        finally:
            self.cut_at = None
        return True

    def _files(self, folder: str = ".") -> list[str]:
        found = (self.root / "spool" / folder).rglob("*")
        return [path.name for path in found if path.suffix in (".picture", ".report")]

    def _name_of(self, trigger: str) -> str | None:
        return self.spool.find("cloud-1", "FLOOR1", trigger)

    @rule(cut_at=st.none() | st.integers(0, 7), fails=st.sampled_from([False, False, True]), data=st.data())
    def execute(self, cut_at: int | None, fails: bool, data: st.DataObject) -> None:
        """As the capture loop: has it an outcome? else write one; then acknowledge, then release."""
        self.number += 1
        self.in_queue.add(f"t-{self.number}")
        trigger = data.draw(st.sampled_from(sorted(self.in_queue)))

        def work() -> None:
            name = self._name_of(trigger)
            if name is None:
                header = self.make.report(trigger) if fails else self.make.picture(trigger)
                name = self.spool.put(header, b"" if fails else b"jpeg of " + trigger.encode())
            self._step("before the acknowledgement")
            self.in_queue.discard(trigger)
            self.acknowledged.add(trigger)
            self._step("queue.acked")
            self.spool.release(HERE, name)

        self._at_work(cut_at, work)

    @rule()
    def restart(self) -> None:
        """The pending entries are looked at first, then what is left is released."""
        self.spool.close()
        self._open()
        for trigger in sorted(self.in_queue):
            name = self._name_of(trigger)
            if name is not None:
                self.in_queue.discard(trigger)
                self.acknowledged.add(trigger)
                self.spool.release(HERE, name)
        for destination, name in self.spool.unreleased():
            self.spool.release(destination, name)

    @rule()
    def redis_forgets_and_the_cloud_replays(self) -> None:
        """Whatever the cloud has no outcome of is in the queue once more."""
        again = self.acknowledged - self.at_cloud.keys()
        self.in_queue |= again
        self.acknowledged -= again

    @precondition(lambda self: self.spool.outbox(HERE))
    @rule(
        cut_at=st.none() | st.integers(0, 8),
        how=st.sampled_from(["taken", "receipt lost", "refused", "corrupt"]),
        data=st.data(),
    )
    def deliver(self, cut_at: int | None, how: str, data: st.DataObject) -> None:
        waiting = sorted(name for _, name in self.spool.outbox(HERE))
        name = data.draw(st.sampled_from(waiting))
        header = self._header(name)

        def work() -> None:
            if how == "refused" and header.kind == "picture":
                self.spool.refuse(HERE, name, self.make.report(header.trigger_id, Reason.REJECTED_422))
            elif how == "corrupt":
                self.spool.quarantine(HERE, name, self.make.report(header.trigger_id, Reason.SPOOL_CORRUPT))
            else:
                self.at_cloud.setdefault(header.trigger_id, set()).add(header.kind)
                if how == "taken":
                    self._step("deliver.sent")
                    self.spool.delivered(HERE, name)

        self._at_work(cut_at, work)

    def _header(self, name: str) -> SpoolHeader:
        return decode(self.spool.read(HERE, name)).header

    @invariant()
    def what_was_acknowledged_is_at_the_cloud_or_on_its_way(self) -> None:
        on_its_way = self._on_their_way()
        for trigger in self.acknowledged:
            assert trigger in self.at_cloud or trigger_key("cloud-1", trigger) in on_its_way

    @invariant()
    def no_trigger_has_two_outcomes_on_their_way(self) -> None:
        on_their_way = self._on_their_way()
        assert len(on_their_way) == len(set(on_their_way))

    def _on_their_way(self) -> list[str]:
        return [name.split(".")[0] for folder in ("unacknowledged", "outbox") for name in self._files(folder)]

    @invariant()
    def the_counts_are_those_of_the_files(self) -> None:
        before = self.spool.figures.contents()
        after = count(self.spool.folders)
        self.spool.figures.recount(beside_puts=True)
        assert before == after
        assert self.spool.figures.contents() == after

    def teardown(self) -> None:
        for one in self._patches:
            one.stop()
        self.spool.close()
        shutil.rmtree(self.root)


def test_whatever_is_cut_short_what_was_acknowledged_has_one_outcome(make: type[Make]) -> None:
    Model.make = make
    case = Model.TestCase
    case.settings = settings(
        deadline=None, max_examples=examples(50), stateful_step_count=30, suppress_health_check=list(HealthCheck)
    )
    case("runTest").runTest()
