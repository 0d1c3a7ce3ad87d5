"""Which driver reads which source, found without a list, and that each keeps to the protocol."""

import ast
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import visant_camera
from visant_camera import drivers
from visant_camera.drivers import fake, opencv, registry, still, v4l2
from visant_camera.drivers.base import CameraAbsent, Driver
from visant_camera.drivers.registry import Wishes

NO_DRIVERS = {"base", "registry"}
ABSENT = {
    "v4l2": "/dev/v4l/by-id/usb-nobody_has_this_one",
    "opencv": "nowhere/clip.mp4",
    "still": "nowhere/shelf.jpg",
    "fake": "fake",
}
"""A source of each driver that no machine has; the fake camera alone is always there. A new driver comes in here."""


def make(source: str) -> Driver:
    return registry.find(source).make(Wishes(source, source, (640, 480), 30.0, 90))


@pytest.mark.parametrize(
    ("source", "driver"),
    [
        ("0", v4l2),
        ("12", v4l2),
        ("/dev/video3", v4l2),
        ("/dev/v4l/by-id/usb-046d_C920-video-index0", v4l2),
        ("rtsp://10.0.0.5/live", opencv),
        ("rtsps://user:pass@camera:322/x", opencv),
        ("shelf.jpg", still),
        ("/data/Shelf.PNG", still),
        ("/data/clip.mp4", opencv),
        ("fake", fake),
    ],
)
def test_a_source_names_its_driver(source: str, driver: ModuleType) -> None:
    assert registry.find(source) is driver.DRIVER


def test_every_file_of_the_folder_declares_what_it_reads() -> None:
    names = {module.name for module in pkgutil.iter_modules(drivers.__path__)} - NO_DRIVERS
    assert len(registry.declarations()) == len(names), "one of them has no DRIVER"
    assert names == set(ABSENT), "give each driver a source that no machine has, for the tests below"


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """`plug_in("plotter", code)`: a file more in the folder of the drivers."""
    monkeypatch.setattr(drivers, "__path__", [*drivers.__path__, str(tmp_path)])

    def write(name: str, code: str) -> None:
        (tmp_path / f"{name}.py").write_text(code)

    return write


PLOTTER = """
from visant_camera.drivers.fake.driver import FakeDriver
from visant_camera.drivers.fake.faults import Faults
from visant_camera.drivers.registry import Declaration

DRIVER = Declaration(("plotter://...",), lambda source: source.startswith("plotter://"),
                     lambda wishes: FakeDriver(wishes.size, wishes.fps, Faults()))
"""


def test_a_new_driver_is_found_by_its_file_alone(plug_in: Callable[[str, str], None]) -> None:
    with pytest.raises(ValueError, match="an address must begin with rtsp://"):
        registry.find("plotter://desk")
    plug_in("plotter", PLOTTER)
    frame = make("plotter://desk").next_frame(1.0, want=True)
    assert frame is not None
    assert "plotter://..." in registry.sources()


def test_two_drivers_for_one_source_are_refused_instead_of_one_winning(plug_in: Callable[[str, str], None]) -> None:
    plug_in("plotter_again", PLOTTER.replace("plotter://...", "greedy").replace('"plotter://"', '"0"'))
    with pytest.raises(ValueError, match=r"it could be 0 or .* or greedy: two drivers read it"):
        registry.find("0")


def test_what_no_driver_reads_is_said_with_all_that_is_read() -> None:
    with pytest.raises(ValueError, match=r"^no driver reads it$"):
        registry.find("webcam")
    for words in ("0 or /dev/video0", "rtsp://...", "a .jpg file", "a .mp4 file", "fake"):
        assert words in registry.sources()


@pytest.mark.parametrize("name", ABSENT)
def test_a_driver_has_the_protocols_methods_with_the_same_parameters(name: str) -> None:
    driver = make(ABSENT[name])
    for method, promised in inspect.getmembers(Driver, inspect.isfunction):
        if not method.startswith("_"):
            parameters = list(inspect.signature(promised).parameters.values())[1:]
            given = inspect.signature(getattr(driver, method)).parameters.values()
            assert [(one.name, one.kind) for one in given] == [(one.name, one.kind) for one in parameters], method


@pytest.mark.parametrize("name", ABSENT)
def test_a_driver_may_be_closed_at_any_time_also_twice(name: str) -> None:
    driver = make(ABSENT[name])
    driver.close()
    driver.close()


@pytest.mark.parametrize("name", [name for name in ABSENT if name != "fake"])
def test_a_driver_that_finds_nothing_says_absent_in_one_line(name: str) -> None:
    driver = make(ABSENT[name])
    with pytest.raises(CameraAbsent) as error:
        driver.open()
    assert error.value.detail
    assert "\n" not in error.value.detail
    driver.close()


def test_nothing_outside_its_folder_imports_the_fake_camera() -> None:
    """Images for a Pi leave the folder out."""
    package = Path(visant_camera.__file__).parent
    for path in package.rglob("*.py"):
        if path.is_relative_to(package / "drivers/fake"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
                assert not any("fake" in name.split(".") for name in names), path.relative_to(package)
