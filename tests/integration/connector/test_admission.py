"""The admission script against a real Redis: on its own, refused, damaged, and in any order against a model."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.redis import RedisServer
from visant_connector.admission import Admission, AdmissionResult, RedisRefused, connect
from visant_connector.command_entries import Admittable
from visant_contract.ids import trigger_key
from visant_contract.stream import (
    ADMITTED,
    ADMITTED_ENTRY,
    DEADLINES,
    GROUP,
    NETWORK,
    STREAM,
    CloudSeen,
    CommandEntry,
    Deadline,
)
from visant_contract.telemetry import NetworkUse

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def capture(trigger: str | None, *, boot: str = "boot-1", until: float = 100.0, named: bool = True) -> Admittable:
    entry = CommandEntry(
        cloud_id="cloud-1",
        plain=False,
        kind="capture" if trigger else "update_config",
        cmd="capture" if trigger else "update_config",
        trigger_id=trigger,
        admitted_wall=NOW,
        admitted_synchronised=True,
        deadline=Deadline(boot_id=boot, boottime=until),
        config=None if trigger else {"a": 1},
    )
    return Admittable(entry, named)


class Door:
    """Admission beside a plain client that looks at what it left."""

    def __init__(self, url: str, kept: int = 20_000) -> None:
        self.runner = asyncio.Runner()
        self.client = connect(url)
        self.admission = Admission(self.client, kept=kept)
        self.redis: Any = redis.Redis.from_url(url, decode_responses=True)

    def prepare(self) -> bool:
        return self.runner.run(self.admission.prepare())

    def admit(self, *batch: Admittable) -> list[AdmissionResult | RedisRefused]:
        return self.runner.run(self.admission.admit(batch))

    def queued(self) -> list[tuple[str, str | None]]:
        return [(id, json.loads(entry["entry"])["trigger_id"]) for id, entry in self.redis.xrange(STREAM)]

    def execute_one(self) -> str | None:
        """As the uploader does: read, then acknowledge and delete."""
        found = self.redis.xreadgroup(GROUP, "device", {STREAM: ">"}, count=1)
        if not found:
            return None
        id, entry = found[0][1][0]
        with self.redis.pipeline() as steps:
            steps.xack(STREAM, GROUP, id)
            steps.xdel(STREAM, id)
            steps.hdel(DEADLINES, id)
            steps.execute()
        return str(json.loads(entry["entry"])["trigger_id"])

    def finish(self, place: int) -> str | None:
        """As the uploader does that executes many side by side: the entry at `place` is done before others."""
        self.redis.xreadgroup(GROUP, "device", {STREAM: ">"}, count=1000)
        id, trigger = self.queued()[place]
        with self.redis.pipeline() as steps:
            steps.xack(STREAM, GROUP, id)
            steps.xdel(STREAM, id)
            steps.hdel(DEADLINES, id)
            steps.execute()
        return trigger

    def remembers(self, trigger: str) -> bool:
        key = trigger_key("cloud-1", trigger)
        return bool(self.redis.exists(STREAM)) and self.redis.zscore(ADMITTED, key) is not None

    def close(self) -> None:
        self.redis.close()
        self.runner.run(self.client.aclose())
        self.runner.close()


@pytest.fixture
def door(redis_server: str) -> Iterator[Door]:
    door = Door(redis_server)
    yield door
    door.close()


def test_a_command_is_queued_once_however_often_it_comes(door: Door) -> None:
    assert door.admit(capture("a"), capture("b"), capture("a")) == ["admitted", "admitted", "renewed"]
    assert door.execute_one() == "a"
    assert door.admit(capture("a")) == ["duplicate"]
    assert [trigger for _, trigger in door.queued()] == ["b"]


def test_settings_without_a_trigger_are_queued_each_time(door: Door) -> None:
    assert door.admit(capture(None), capture(None)) == ["admitted", "admitted"]
    assert door.redis.zcard(ADMITTED) == 0


def test_the_group_sees_what_was_queued_before_anybody_read(door: Door) -> None:
    door.admit(capture("a"))
    assert not door.prepare()
    assert door.execute_one() == "a"


def test_the_group_may_have_been_made_by_somebody_else(door: Door) -> None:
    door.redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    door.prepare()
    door.admit(capture("a"))
    assert door.execute_one() == "a"


def test_redis_remembers_the_cloud_until_it_loses_its_memory(door: Door) -> None:
    seen = CloudSeen(api_url="http://c", cloud_id="c", plain=False, boot_id="boot-1", connected_boottime=1.0)
    door.runner.run(door.admission.cloud_seen(seen))
    assert door.prepare()
    door.redis.flushall()
    assert not door.prepare()


def test_a_replay_renews_the_deadline_of_what_is_still_queued(door: Door) -> None:
    door.admit(capture("a", until=100))
    assert door.admit(capture("a", boot="boot-2", until=50)) == ["renewed"]
    (id, _), *_ = door.queued()
    assert Deadline.model_validate_json(door.redis.hget(DEADLINES, id)) == Deadline(boot_id="boot-2", boottime=50)


def test_a_lifetime_that_began_with_the_arrival_does_not_grow_with_replays_but_starts_anew_after_a_reboot(
    door: Door,
) -> None:
    door.admit(capture("a", until=100, named=False))
    assert door.admit(capture("a", until=900, named=False)) == ["duplicate"]
    assert door.redis.hlen(DEADLINES) == 0
    assert door.admit(capture("a", boot="boot-2", until=50, named=False)) == ["renewed"]
    assert door.admit(capture("a", boot="boot-2", until=900, named=False)) == ["duplicate"]
    ((_, deadline),) = door.redis.hgetall(DEADLINES).items()
    assert json.loads(deadline)["boottime"] == 50


def test_a_script_that_redis_has_forgotten_is_loaded_again(door: Door) -> None:
    door.admit(capture("a"))
    door.redis.script_flush()
    assert door.admit(capture("b"), capture("a")) == ["admitted", "renewed"]


def test_a_full_redis_refuses_and_takes_the_same_command_later(door: Door) -> None:
    door.prepare()
    door.redis.config_set("maxmemory", "1")
    result = door.admit(capture("a"))[0]
    assert isinstance(result, RedisRefused)
    assert "full" in str(result)
    assert door.queued() == []
    assert door.redis.exists(ADMITTED, ADMITTED_ENTRY) == 0
    door.redis.config_set("maxmemory", "0")
    assert door.admit(capture("a")) == ["admitted"]


def test_a_read_only_redis_refuses(door: Door) -> None:
    door.prepare()
    door.redis.replicaof("127.0.0.1", "1")
    result = door.admit(capture("a"))[0]
    assert isinstance(result, RedisRefused)
    assert "read-only" in str(result)
    door.redis.replicaof("NO", "ONE")
    assert door.admit(capture("a")) == ["admitted"]


def test_a_redis_that_is_gone_or_does_not_answer_refuses_in_bounded_time(
    door: Door, redis_process: RedisServer
) -> None:
    door.admit(capture("a"))
    redis_process.kill()
    with pytest.raises(RedisRefused, match="is it running"):
        door.admit(capture("b"))
    redis_process.start()
    assert door.admit(capture("a"), capture("b")) == ["renewed", "admitted"]


def test_a_wrong_password_is_named(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "closed", {"requirepass": "secret"}) as server:
        door = Door(server.url)
        with pytest.raises(RedisRefused, match="REDIS_URL"):
            door.prepare()
        door.close()


@pytest.mark.parametrize("key", [STREAM, ADMITTED, ADMITTED_ENTRY, DEADLINES])
@pytest.mark.parametrize("wrong", ["string", "list"])
def test_a_key_of_a_wrong_type_is_set_aside_and_no_command_is_lost(door: Door, key: str, wrong: str) -> None:
    door.admit(capture("a"))
    door.redis.delete(key)
    if wrong == "string":
        door.redis.set(key, "damage")
    else:
        door.redis.rpush(key, "damage")
    assert door.admit(capture("b")) == ["admitted"]
    again = door.admit(capture("a"))[0]
    triggers = sorted(trigger for _, trigger in door.queued() if trigger)
    assert triggers == ["a", "b"]
    assert again == ("admitted" if key == STREAM else "duplicate" if key == ADMITTED_ENTRY else "renewed")
    assert door.redis.exists(f"{key}:damaged")


def test_a_stream_that_was_lost_does_not_leave_the_device_deaf_for_what_it_held(door: Door) -> None:
    door.prepare()
    door.admit(capture("a"))
    door.redis.delete(STREAM)
    assert door.admit(capture("a")) == ["admitted"]
    assert door.execute_one() == "a"


@pytest.mark.parametrize("damage", ["gone", "of another type"])
def test_a_lost_stream_is_noticed_once_while_nothing_comes_and_its_commands_enter_again(
    door: Door, damage: str
) -> None:
    seen = CloudSeen(api_url="http://c", cloud_id="c", plain=False, boot_id="boot-1", connected_boottime=1.0)
    door.prepare()
    door.runner.run(door.admission.cloud_seen(seen))
    door.admit(capture("a"))
    assert door.prepare()
    door.redis.delete(STREAM)
    if damage == "of another type":
        door.redis.set(STREAM, "damage")
    assert not door.prepare()
    assert door.prepare()
    assert door.admit(capture("a")) == ["admitted"]
    assert door.execute_one() == "a"


def test_twenty_thousand_triggers_are_remembered_and_no_more(door: Door) -> None:
    door.prepare()
    with door.redis.pipeline(transaction=False) as fill:  # as 19,900 admissions would have left it
        for n in range(19_900):
            key = trigger_key("cloud-1", f"t{n}")
            fill.zadd(ADMITTED, {key: n + 1})
            fill.hset(ADMITTED_ENTRY, key, f"{n + 1}-0")
        fill.execute()
    for start in range(19_900, 20_400, 100):
        assert set(door.admit(*(capture(f"t{n}") for n in range(start, start + 100)))) == {AdmissionResult.ADMITTED}
        door.redis.xtrim(STREAM, maxlen=0)  # all of them done
    assert 20_000 <= door.redis.zcard(ADMITTED) == door.redis.hlen(ADMITTED_ENTRY) <= 20_100
    assert door.admit(capture("t400")) == ["duplicate"]
    assert door.admit(capture("t0")) == ["admitted"]


def test_what_the_network_cost_is_told_without_a_write_to_the_card(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server:
        door = Door(server.url)
        door.prepare()

        def written() -> int:
            return sum(path.stat().st_size for path in (tmp_path / "redis").rglob("*.aof"))

        before = written()
        assert before, "else nothing is shown"
        for sent in range(3):
            door.runner.run(door.admission.network_used(NetworkUse(seconds=1, received_bytes=2, sent_bytes=sent)))
        assert '"sent_bytes":2' in door.redis.get(NETWORK)
        assert written() == before
        door.close()


def test_settings_of_redis_that_would_lose_commands_are_named(tmp_path: Path, door: Door) -> None:
    assert door.runner.run(door.admission.weaknesses()) == []
    with RedisServer(tmp_path / "weak", {"appendfsync": "everysec"}) as server:
        weak = Door(server.url)
        (line,) = weak.runner.run(weak.admission.weaknesses())
        assert "appendfsync everysec" in line
        weak.close()


KEPT = 4
TRIGGERS = [f"t{n}" for n in range(14)]
BOOTS = ["boot-1", "boot-2"]


class AdmissionMachine(RuleBasedStateMachine):
    """Admissions, replays, the uploader's work and losses in any order; the model knows what must hold after each."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.door = Door(self.url, kept=KEPT)
        self.door.redis.flushall()
        self.door.prepare()
        self.queue: list[str | None] = []
        self.gone: set[str] = set()
        """Triggers that have left the queue and were not admitted again."""
        self.deadline: dict[str, Deadline] = {}
        self.longest = 0

    def teardown(self) -> None:
        self.door.close()

    @rule(
        picks=st.lists(st.sampled_from(TRIGGERS), min_size=1, max_size=5),
        boot=st.sampled_from(BOOTS),
        until=st.integers(1, 1000),
        named=st.booleans(),
    )
    def admit(self, picks: list[str], boot: str, until: int, named: bool) -> None:
        for pick in picks:
            known = self.door.remembers(pick)
            (result,) = self.door.admit(capture(pick, boot=boot, until=float(until), named=named))
            self.check(pick, result, Deadline(boot_id=boot, boottime=float(until)), named, known)

    def check(
        self, trigger: str, result: AdmissionResult | RedisRefused, new: Deadline, named: bool, known: bool
    ) -> None:
        if trigger in self.queue:
            renews = named or self.deadline[trigger].boot_id != new.boot_id
            assert result == (AdmissionResult.RENEWED if renews else AdmissionResult.DUPLICATE)
            if renews:
                self.deadline[trigger] = new
            return
        assert result == (AdmissionResult.DUPLICATE if known else AdmissionResult.ADMITTED)
        assert not known or trigger in self.gone
        if result == AdmissionResult.ADMITTED:
            self.gone.discard(trigger)
            self.queue.append(trigger)
            self.longest = max(self.longest, len(self.queue))
            self.deadline[trigger] = new

    @rule()
    def admit_settings(self) -> None:
        assert self.door.admit(capture(None)) == ["admitted"]
        self.queue.append(None)
        self.longest = max(self.longest, len(self.queue))

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def uploader_finishes_one(self, data: Any) -> None:
        """The oldest mostly; where it is parked or slow, another."""
        place = data.draw(st.sampled_from([0, 0, len(self.queue) - 1]) | st.integers(0, len(self.queue) - 1))
        done = self.queue.pop(place)
        assert self.door.finish(place) == done
        if done is not None:
            self.gone.add(done)

    @rule(picks=st.lists(st.sampled_from(TRIGGERS), min_size=5, max_size=8, unique=True))
    def newer_ones_pass_what_is_parked(self, picks: list[str]) -> None:
        for pick in picks:
            if pick not in self.queue:
                self.admit([pick], "boot-1", 1000, True)
                if pick in self.queue:
                    self.queue.remove(pick)
                    self.gone.add(pick)
                    assert self.door.finish(len(self.queue)) == pick

    @rule()
    def redis_forgets_the_script(self) -> None:
        self.door.redis.script_flush()

    @rule()
    def redis_loses_everything(self) -> None:
        self.door.redis.flushall()
        self.queue, self.gone, self.longest = [], set(), 0

    @rule(ping=st.booleans())
    def redis_loses_the_stream(self, ping: bool) -> None:
        self.door.redis.delete(STREAM)
        lost = [trigger for trigger in self.queue if trigger]
        self.queue, self.gone = [], set()
        if ping:
            self.door.prepare()
        if lost:  # the cloud has no outcome of them and sends them again
            self.admit(lost[:5], "boot-1", 500, True)

    @rule()
    def the_cloud_pings(self) -> None:
        self.door.prepare()

    @rule()
    def redis_is_full_for_a_moment(self) -> None:
        self.door.redis.config_set("maxmemory", "1")
        (result,) = self.door.admit(capture("never-seen"))
        self.door.redis.config_set("maxmemory", "0")
        assert isinstance(result, RedisRefused)

    @invariant()
    def the_queue_is_what_the_model_says(self) -> None:
        assert [trigger for _, trigger in self.door.queued()] == self.queue

    @invariant()
    def memory_is_consistent_and_bounded(self) -> None:
        remembered = set(self.door.redis.zrange(ADMITTED, 0, -1))
        assert remembered == set(self.door.redis.hkeys(ADMITTED_ENTRY))
        assert {trigger_key("cloud-1", trigger) for trigger in self.queue if trigger} <= remembered
        assert len(remembered) <= KEPT + self.longest + 1
        assert sum(trigger_key("cloud-1", one) in remembered for one in self.gone) >= min(KEPT, len(self.gone))

    @invariant()
    def every_queued_command_has_the_deadline_of_its_last_renewal(self) -> None:
        renewed = self.door.redis.hgetall(DEADLINES)
        for id, fields in self.door.redis.xrange(STREAM):
            entry = CommandEntry.model_validate_json(fields["entry"])
            if entry.trigger_id is not None:
                found = Deadline.model_validate_json(renewed[id]) if id in renewed else entry.deadline
                assert found == self.deadline[entry.trigger_id]


def test_admission_in_any_order_keeps_its_promises(redis_server: str) -> None:
    machine = type("Machine", (AdmissionMachine,), {"url": redis_server})
    case = machine.TestCase  # type: ignore[attr-defined]  # hypothesis makes one for each class
    case.settings = settings(
        max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    case("runTest").runTest()


def test_a_redis_that_does_not_know_the_script_is_told_it(door: Door) -> None:
    door.redis.script_flush()
    assert door.admit(capture("a"), capture("b")) == [AdmissionResult.ADMITTED] * 2
    asked = door.redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert door.admit(capture("c")) == [AdmissionResult.ADMITTED]
    stats = door.redis.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == asked + 1
    assert "cmdstat_script|exists" not in stats
    assert [trigger for _, trigger in door.queued()] == ["a", "b", "c"]
