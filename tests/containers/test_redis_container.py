"""The queue's container keeps what it acknowledged, and a damaged file does not keep the device down."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.stack import Stack, docker, wait_for

INCR = "/data/appendonlydir/appendonly.aof.1.incr.aof"


def redis_cli(stack: Stack, *words: str) -> str:
    return docker("exec", stack.container("redis"), "redis-cli", *words).strip()


def add_commands(stack: Stack, count: int) -> None:
    script = "for i=1,tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'trigger_id', 'T'..i) end"
    redis_cli(stack, "EVAL", script, "1", "visant:commands", str(count))


def on_volume(stack: Stack, code: str, volume: str = "redis") -> str:
    """Runs Python as root with the volume at /data, while Redis is down."""
    image = stack.config()["services"]["connector"]["image"]
    mount = f"{stack.volume(volume)}:/data"
    run = ("run", "--rm", "-i", "-u", "0", "--network", "none", "-v", mount, "--entrypoint", "python3", image, "-")
    return docker(*run, stdin=code).strip()


def kill(stack: Stack) -> None:
    docker("kill", "-s", "KILL", stack.container("redis"))


def start_again(stack: Stack) -> None:
    docker("start", stack.container("redis"))
    wait_for("Redis answers", lambda: answers(stack))


def answers(stack: Stack) -> bool:
    found = subprocess.run(
        ["docker", "exec", stack.container("redis"), "redis-cli", "ping"], capture_output=True, text=True
    )
    return found.stdout.strip() == "PONG"


def set_aside(stack: Stack) -> list[str]:
    return docker("exec", stack.container("redis"), "sh", "-c", "ls /data/set-aside 2>/dev/null || true").split()


def test_what_was_acknowledged_survives_a_kill(stack: Stack) -> None:
    stack.up("redis")
    add_commands(stack, 500)
    kill(stack)
    start_again(stack)
    assert redis_cli(stack, "XLEN", "visant:commands") == "500"
    assert set_aside(stack) == []


def test_a_torn_tail_loads_up_to_the_tear(stack: Stack) -> None:
    stack.up("redis")
    for _ in range(5):
        redis_cli(stack, "XADD", "visant:commands", "*", "trigger_id", "T")
    kill(stack)
    on_volume(stack, f"import os; os.truncate({INCR!r}, os.path.getsize({INCR!r}) - 9)")
    start_again(stack)
    assert redis_cli(stack, "XLEN", "visant:commands") == "4"
    assert set_aside(stack) == []


DAMAGE = {
    "zeros in the middle": f"""
f = open({INCR!r}, "r+b"); f.seek(0, 2); f.seek(f.tell() // 2); f.write(b"\\0" * 64)""",
    # Well-formed, so that redis-check-aof would call it valid; Redis refuses it all the same.
    "a command that does not exist": f"""
data = open({INCR!r}, "rb").read(); assert b"XADD" in data
open({INCR!r}, "wb").write(data.replace(b"XADD", b"XBDD", 1))""",
    "a broken manifest": """
open("/data/appendonlydir/appendonly.aof.manifest", "w").write("file x\\n")""",
    "a lost base file": """
import os; os.unlink("/data/appendonlydir/appendonly.aof.1.base.rdb")""",
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_file_is_set_aside_and_redis_starts_empty(stack: Stack, damage: str) -> None:
    stack.up("redis")
    for _ in range(20):
        redis_cli(stack, "XADD", "visant:commands", "*", "trigger_id", "T")
    kill(stack)
    on_volume(stack, DAMAGE[damage])
    start_again(stack)
    assert redis_cli(stack, "DBSIZE") == "0"
    assert "the append-only file is damaged and was set aside" in stack.logs("redis")
    (kept,) = set_aside(stack)
    assert "appendonly.aof.1.incr.aof" in docker("exec", stack.container("redis"), "ls", f"/data/set-aside/{kept}")
    assert redis_cli(stack, "XADD", "visant:commands", "*", "trigger_id", "new")
    kill(stack)
    start_again(stack)
    assert redis_cli(stack, "XLEN", "visant:commands") == "1", "the new file is as durable as the old one"


UNUSABLE = {
    "belongs to user 0": (
        "import os; [os.chown(e.path, 0, 0) or os.chmod(e.path, 0o600) for e in os.scandir('/data/appendonlydir')]",
        "import os; [os.chown(e.path, 10001, 10001) for e in os.scandir('/data/appendonlydir')]",
    ),
    "a newer Redis wrote": (
        """
f = open("/data/appendonlydir/appendonly.aof.1.base.rdb", "r+b"); open("/data/head", "wb").write(f.read(9))
f.seek(0); f.write(b"REDIS0099")""",
        """
f = open("/data/appendonlydir/appendonly.aof.1.base.rdb", "r+b"); f.write(open("/data/head", "rb").read())""",
    ),
}


@pytest.mark.parametrize("said", list(UNUSABLE))
def test_a_file_that_merely_cannot_be_used_is_left_and_read_once_it_can_be(stack: Stack, said: str) -> None:
    spoil, mend = UNUSABLE[said]
    stack.up("redis")
    add_commands(stack, 20)
    kill(stack)
    on_volume(stack, spoil)
    docker("start", stack.container("redis"))
    wait_for("it says why", lambda: said in stack.logs("redis"))
    assert not answers(stack)
    on_volume(stack, mend)
    wait_for("Redis answers", lambda: answers(stack))
    assert redis_cli(stack, "XLEN", "visant:commands") == "20"
    assert set_aside(stack) == []


def test_data_without_its_manifest_is_kept(stack: Stack) -> None:
    stack.up("redis")
    add_commands(stack, 20)
    kill(stack)
    on_volume(stack, "import os; os.unlink('/data/appendonlydir/appendonly.aof.manifest')")
    start_again(stack)
    (kept,) = set_aside(stack)
    folder = f"/data/set-aside/{kept}"
    assert (
        int(docker("exec", stack.container("redis"), "stat", "-c", "%s", f"{folder}/appendonly.aof.1.incr.aof")) > 500
    )


def test_only_the_newest_three_damaged_files_are_kept(stack: Stack) -> None:
    stack.up("redis")
    redis_cli(stack, "SET", "key", "value")
    kill(stack)
    on_volume(
        stack,
        """
import os
for n in (7, 8, 9):
    os.makedirs(f"/data/set-aside/{n:06d}-20991231T000000Z")
os.system("chown -R 10001:10001 /data/set-aside")
open("/data/appendonlydir/appendonly.aof.manifest", "w").write("file x\\n")""",
    )
    start_again(stack)
    assert [name.split("-")[0] for name in set_aside(stack)] == ["000008", "000009", "000010"]


def test_a_wrong_setting_ends_the_start_and_touches_no_file(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.up("redis")
    redis_cli(stack, "SET", "key", "value")
    monkeypatch.setenv("REDIS_MAXMEMORY", "plenty")
    stack.up("redis", wait=False)
    wait_for("it says why", lambda: "before it was ready" in stack.logs("redis"))
    assert "maxmemory" in stack.logs("redis")
    monkeypatch.delenv("REDIS_MAXMEMORY")
    stack.up("redis")
    assert redis_cli(stack, "GET", "key") == "value"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB that outlives the container."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.getuid() != 0:
        pytest.skip("only root mounts a file system")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,uid=10001,gid=10001", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_waited_for_and_not_restarted_into(tmp_path: Path, small_disk: Path) -> None:
    bind = {"driver_opts": {"type": "none", "o": "bind", "device": str(small_disk)}}
    with Stack(tmp_path, {"volumes": {"redis": bind}}) as stack:
        stack.up("redis")
        redis_cli(stack, "SET", "key", "value")
        ballast = small_disk / "ballast"
        docker("exec", stack.container("redis"), "sh", "-c", "cat /dev/zero >/data/ballast || true")
        subprocess.run(  # Redis ends at the write that does not fit
            ["docker", "exec", stack.container("redis"), "redis-cli", "SET", "key", "v" * 9000], capture_output=True
        )
        wait_for("it waits for space", lambda: "disk full" in stack.logs("redis"))
        restarts = stack.inspect("redis")["RestartCount"]
        time.sleep(5)  # long enough for a hot loop to show
        assert stack.inspect("redis")["RestartCount"] == restarts <= 2
        ballast.unlink()
        wait_for("Redis starts by itself", lambda: answers(stack))
        assert redis_cli(stack, "GET", "key") == "value"


def test_a_full_queue_refuses_and_still_drains(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_MAXMEMORY", "4mb")
    stack.up("redis")
    redis_cli(stack, "XGROUP", "CREATE", "visant:commands", "uploader", "0", "MKSTREAM")
    redis_cli(stack, "XADD", "visant:commands", "*", "trigger_id", "first")
    fill = "for i=1,2000 do redis.call('XADD', KEYS[1], '*', 'trigger_id', string.rep('x', 500)) end"
    for _ in range(10):  # a script is refused at its start, never midway
        redis_cli(stack, "EVAL", fill, "1", "visant:commands")
    assert "OOM" in redis_cli(stack, "XADD", "visant:commands", "*", "trigger_id", "one more")
    entry = redis_cli(stack, "XREADGROUP", "GROUP", "uploader", "me", "COUNT", "1", "STREAMS", "visant:commands", ">")
    assert "first" in entry
    identity = entry.split()[1]
    assert redis_cli(stack, "XACK", "visant:commands", "uploader", identity) == "1"
    assert redis_cli(stack, "XDEL", "visant:commands", identity) == "1"


def test_stopping_is_clean_and_quick(stack: Stack) -> None:
    stack.up("redis")
    redis_cli(stack, "SET", "key", "value")
    begun = time.monotonic()
    docker("stop", stack.container("redis"))
    assert time.monotonic() - begun < 5
    assert stack.inspect("redis")["State"]["ExitCode"] == 0
