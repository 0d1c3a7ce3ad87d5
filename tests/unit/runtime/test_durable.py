"""A file is there as a whole or not at all."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from visant_runtime import durable


class PowerCut(BaseException):
    """Ends a write as SIGKILL would."""


def cut_at(wanted: durable.Step) -> Callable[[durable.Step], None]:
    def step(reached: durable.Step) -> None:
        if reached == wanted:
            raise PowerCut

    return step


def broken(*arguments: Any) -> None:
    raise OSError(errno.EIO, "Input/output error")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    return path


def test_file_and_folder_are_synced_around_the_rename_and_each_step_is_told(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        done.append("fsync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "fsync file")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    durable.write(target, [b"ne", b"", b"w"], step=done.append)
    assert target.read_bytes() == b"new"
    assert done == ["written", "fsync file", "synced", "renamed", "fsync folder", "folder_synced"]


@pytest.mark.parametrize("step", ["written", "synced"])
def test_a_power_cut_before_the_rename_leaves_the_old_file(target: Path, step: durable.Step) -> None:
    with pytest.raises(PowerCut):
        durable.write(target, [b"new"], step=cut_at(step))
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize("step", ["renamed", "folder_synced"])
def test_a_power_cut_after_the_rename_leaves_the_new_file(target: Path, step: durable.Step) -> None:
    with pytest.raises(PowerCut):
        durable.write(target, [b"new"], step=cut_at(step))
    assert target.read_bytes() == b"new"


def test_a_write_that_the_disk_cuts_short_goes_on_where_it_stopped(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, rest: write(handle, rest[:1]))
    durable.write(target, [b"new", b"est"])
    assert target.read_bytes() == b"newest"


@pytest.mark.parametrize("name", ["write", "fsync"])
def test_a_disk_that_fails_keeps_the_old_file_and_is_not_littered(
    target: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(os, name, broken)
    with pytest.raises(OSError, match="Input/output"):
        durable.write(target, [b"new"])
    assert target.read_bytes() == b"old" and names(target.parent) == ["state.json"]


def test_a_folder_that_cannot_be_synced_takes_a_new_file_away_again_and_never_an_old_one(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "sync_folder", broken)
    with pytest.raises(OSError, match="Input/output"):
        durable.write(target.with_name("outcome"), [b"new"], new=True)
    with pytest.raises(OSError, match="Input/output"):
        durable.write(target, [b"new"])
    assert names(target.parent) == ["state.json"]


def test_a_draft_may_lie_in_another_folder_and_the_mode_is_the_callers(target: Path) -> None:
    drafts = target.parent / "draft"
    drafts.mkdir()
    seen: list[list[str]] = []
    durable.write(target, [b"new"], draft=drafts / "one", mode=0o600, step=lambda step: seen.append(names(drafts)))
    assert seen == [["one"], ["one"], [], []]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
