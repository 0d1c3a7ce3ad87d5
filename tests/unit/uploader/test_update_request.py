"""`update` of `update_config` becomes one small file for the updater on the host, or a reason."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from visant_uploader.capture.camera_client import CameraClient, ConfigRefused
from visant_uploader.capture.config_command import apply_config
from visant_uploader.capture.update_request import FILE_NAME, UpdateRequests


@pytest.fixture
def updates(tmp_path: Path) -> UpdateRequests:
    """On a host with an updater."""
    (tmp_path / "update.json").write_text("{}")
    return UpdateRequests(tmp_path, tmp_path / "update.json")


def there(folder: Path) -> Any:
    return json.loads((folder / FILE_NAME).read_text())


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        ("now", {"word": "now"}),
        ("hold", {"word": "hold"}),
        ("resume", {"word": "resume"}),
        ({"pin": "2.0.1"}, {"word": "pin", "version": "2.0.1"}),
        ({"pin": "2.1.0-beta.1"}, {"word": "pin", "version": "2.1.0-beta.1"}),
    ],
)
def test_what_the_cloud_asks_is_written_with_its_id(
    updates: UpdateRequests, tmp_path: Path, value: Any, asked: dict[str, str]
) -> None:
    assert updates.write("t1", value) == f"asked the updater: {' '.join(asked.values())}"
    assert there(tmp_path) == {"id": "t1", **asked}
    assert sorted(one.name for one in tmp_path.iterdir()) == [FILE_NAME, "update.json"]


@pytest.mark.parametrize(
    "value",
    ["later", "", None, 1, True, [], {}, {"pin": "2.0"}, {"pin": "../../etc"}, {"pin": "2.0.1\n"},
     {"pin": "2.0.1", "x": 1}, {"pin": 2}, {"pin": "1.0.0-" + "9" * 99}],
)  # fmt: skip
def test_another_shape_is_refused_with_what_it_must_be_and_nothing_is_written(
    updates: UpdateRequests, tmp_path: Path, value: Any
) -> None:
    with pytest.raises(ConfigRefused, match='must be "now", "hold", "resume" or'):
        updates.write("t1", value)
    assert not (tmp_path / FILE_NAME).exists()


def test_a_host_without_an_updater_is_told_so(tmp_path: Path) -> None:
    for status in (None, tmp_path / "update.json"):
        with pytest.raises(ConfigRefused, match="no updater"):
            UpdateRequests(tmp_path, status).write("t1", "now")


def test_a_request_that_waits_is_not_overwritten_but_by_itself(updates: UpdateRequests, tmp_path: Path) -> None:
    updates.write("t1", "hold")
    updates.write("t1", "hold")  # executed again after a power cut
    with pytest.raises(ConfigRefused, match="has not taken"):
        updates.write("t2", "now")
    assert there(tmp_path)["id"] == "t1"
    (tmp_path / FILE_NAME).unlink()
    updates.write("t2", "now")


def test_settings_that_come_with_each_stream_hold_but_never_start_an_update(
    updates: UpdateRequests, tmp_path: Path
) -> None:
    assert updates.write(None, "now") == ""
    assert not (tmp_path / FILE_NAME).exists()
    updates.write(None, "hold")
    updates.write(None, "hold")
    assert there(tmp_path) == {"id": "", "word": "hold"}


def test_a_full_disk_is_a_reason(updates: UpdateRequests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("visant_uploader.capture.update_request.durable.write", full)
    with pytest.raises(ConfigRefused, match="No space left"):
        updates.write("t1", "now")


async def test_the_camera_gets_its_settings_and_not_the_updaters(updates: UpdateRequests, tmp_path: Path) -> None:
    sent: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(200, json={"settings": {"brightness": "applied"}})

    camera = CameraClient("http://camera", transport=httpx.MockTransport(answer))
    done = await apply_config(camera, updates, {"update": "now", "brightness": 7}, "t1")
    assert done == "asked the updater: now; applied: brightness"
    assert sent == [{"brightness": 7}]
    with pytest.raises(ConfigRefused, match="has not taken"):
        await apply_config(camera, updates, {"update": "now", "brightness": 8}, "t2")
    assert "brightness" in await apply_config(camera, updates, {"update": "hold", "brightness": 9})
    assert sent == [{"brightness": 7}, {"brightness": 9}], "what each stream brings is for the camera all the same"
    (tmp_path / FILE_NAME).unlink()
    assert await apply_config(camera, updates, {"update": "hold"}, "t3") == "asked the updater: hold"
    await camera.close()
