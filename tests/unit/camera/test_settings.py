"""What is refused and how, and that a source's credentials stay hidden."""

import pytest

from visant_camera.settings import CameraSettings
from visant_runtime.redact import shown
from visant_runtime.settings import load


@pytest.mark.parametrize(
    "source", ["nothing", "-1", "http://camera/x", "rtsp://", "rtsp://h:port/x", "/dev/null", "a.txt"]
)
def test_a_source_that_names_nothing_ends_the_start_with_one_line(
    source: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAMERA_SOURCE", source)
    with pytest.raises(SystemExit) as stop:
        load(CameraSettings)
    assert stop.value.code == 78
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.startswith(f"[ERROR] CAMERA_SOURCE={shown(source)!r} is not valid")
    assert "rtsp://" in line


def test_credentials_are_masked_in_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA_SOURCE", "rtsp://eve:s3cret@camera/live?token=t0ken")
    secrets = load(CameraSettings).secrets()
    assert {"eve:s3cret", "s3cret", "token=t0ken"} <= set(secrets)


def test_a_wrong_source_is_refused_without_its_credentials(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAMERA_SOURCE", "rtsp://eve:s3cret@")
    with pytest.raises(SystemExit):
        load(CameraSettings)
    assert "s3cret" not in capsys.readouterr().err


@pytest.mark.parametrize("value", ["1920", "1920x", "axb", "1920x1080x3", "0x0", "-5x5"])
def test_a_resolution_has_the_form_width_x_height(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAMERA_RESOLUTION", value)
    with pytest.raises(SystemExit):
        load(CameraSettings)
    assert "set it like 1920x1080" in capsys.readouterr().err


def test_the_default_size_is_full_hd_and_smaller_for_the_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAMERA_RESOLUTION", raising=False)
    monkeypatch.delenv("CAMERA_SOURCE", raising=False)
    assert load(CameraSettings).wishes.size == (1920, 1080)
    monkeypatch.setenv("CAMERA_SOURCE", "fake")
    assert load(CameraSettings).wishes.size == (1280, 720)
    monkeypatch.setenv("CAMERA_RESOLUTION", "640X480")
    assert load(CameraSettings).wishes.size == (640, 480)


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://eve:s3cret",
        "rtsp://eve:s3c#ret@camera:port/x",
        "rtsp://eve:s3c ret@camera:port/x",
        "rtsp://eve:ok@camera:port/x?token=s3cret",
        "http://eve:s3cret@camera/x",
    ],
)
def test_an_address_that_is_refused_shows_nothing_of_its_password(
    source: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAMERA_SOURCE", source)
    with pytest.raises(SystemExit):
        load(CameraSettings)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "s3c" not in line
    assert "ret" not in line.partition("is not valid")[0]


def test_blanks_around_a_source_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA_SOURCE", " 0 ")
    assert load(CameraSettings).camera_source == "0"


@pytest.mark.parametrize(
    "resolution", ["00x00", "15x720", "99999x99999", "1920", "1920*1080", "\uff11\uff19\uff12\uff10x1080"]
)
def test_a_size_that_no_camera_has_ends_the_start(
    resolution: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAMERA_RESOLUTION", resolution)
    with pytest.raises(SystemExit):
        load(CameraSettings)
    assert "WIDTHxHEIGHT, each from 16 to 8192" in capsys.readouterr().err
