from pathlib import Path

import pytest

from visant_camera.drivers.v4l2.find_device import (
    REPLACED_AFTER,
    Finder,
    NoCamera,
    VideoDevice,
    lasting_names,
    plugged_in,
)

LEFT = VideoDevice("/dev/video0", "Left", "usb1/1-1", "046d:0825", "A1")
RIGHT = VideoDevice("/dev/video2", "Right", "usb1/1-2", "1bcf:2b8a", "B2")


def moved(device: VideoDevice, node: str, port: str | None = None) -> VideoDevice:
    return VideoDevice(node, device.name, port or device.port, device.model, device.serial, device.index)


class Ports:
    """What is plugged in, and the time; both to be changed at will."""

    def __init__(self, *devices: VideoDevice) -> None:
        self.devices = list(devices)
        self.now = 100.0

    def finder(self, source: str = "0") -> Finder:
        return Finder(source, list_devices=lambda: self.devices, clock=lambda: self.now)


def test_a_sole_camera_is_found_under_any_number() -> None:
    assert Ports(moved(LEFT, "/dev/video7")).finder("0").find().node == "/dev/video7"
    assert Ports(moved(LEFT, "/dev/video7")).finder("/dev/video0").find().node == "/dev/video7"


def test_of_two_the_number_decides() -> None:
    assert Ports(LEFT, RIGHT).finder("2").find() == RIGHT
    assert Ports(RIGHT, LEFT).finder("0").find() == LEFT


def test_of_two_without_that_number_none_is_taken_and_both_are_named() -> None:
    with pytest.raises(NoCamera, match=r"Left \(/dev/video0\), Right \(/dev/video2\).*by-path"):
        Ports(LEFT, RIGHT).finder("1").find()


def test_nothing_plugged_in_is_said() -> None:
    with pytest.raises(NoCamera, match="no camera is plugged in"):
        Ports().finder().find()


def test_a_camera_with_two_picture_nodes_counts_as_one() -> None:
    infrared = VideoDevice("/dev/video2", "Left", LEFT.port, LEFT.model, LEFT.serial, index=2)
    assert Ports(infrared, LEFT).finder("5").find() == LEFT
    assert Ports(infrared, LEFT).finder("2").find() == infrared


def test_the_chosen_one_is_kept_when_it_returns_under_another_number() -> None:
    ports = Ports(LEFT, RIGHT)
    finder = ports.finder("0")
    finder.find()
    finder.lost()
    ports.devices = [moved(RIGHT, "/dev/video0"), moved(LEFT, "/dev/video4")]
    assert finder.find().node == "/dev/video4"


def test_the_neighbour_is_never_taken_however_long_the_chosen_one_is_away() -> None:
    ports = Ports(LEFT, RIGHT)
    finder = ports.finder("0")
    finder.find()
    finder.lost()
    ports.devices = [moved(RIGHT, "/dev/video0")]
    for _ in range(5):
        with pytest.raises(NoCamera, match="Left is unplugged, and Right"):
            finder.find()
    ports.devices.append(moved(LEFT, "/dev/video1"))
    assert finder.find().name == "Left"


def test_a_neighbour_that_came_unnoticed_is_told_from_a_replacement_by_when_it_came() -> None:
    ports = Ports(LEFT)
    finder = ports.finder("0")
    finder.find()
    finder.lost()
    ports.devices = [RIGHT]  # there at the first look after the loss: it was there before
    with pytest.raises(NoCamera):
        finder.find()
    third = VideoDevice("/dev/video4", "Third", "usb1/1-3", "aaaa:bbbb")
    ports.devices = [RIGHT, third]  # came later
    ports.now += REPLACED_AFTER - 1
    with pytest.raises(NoCamera, match=r"Left is unplugged, and Right .*Third .* is not taken in its place"):
        finder.find()
    ports.now += 1
    assert finder.find() == third


def test_a_neighbour_that_came_while_the_chosen_one_streamed_is_never_taken_for_it() -> None:
    """The hub drops both, and the other one is back first."""
    ports = Ports(LEFT)
    finder = ports.finder("0")
    finder.find()
    ports.devices = [LEFT, RIGHT]
    ports.now += 5
    finder.watch()
    ports.devices = []
    finder.lost()
    with pytest.raises(NoCamera, match="Left is unplugged"):
        finder.find()
    ports.devices = [moved(RIGHT, "/dev/video0")]
    for _ in range(3):
        ports.now += REPLACED_AFTER
        with pytest.raises(NoCamera, match="Left is unplugged, and Right"):
            finder.find()
    ports.devices.append(moved(LEFT, "/dev/video1"))
    assert finder.find().name == "Left"


def test_neighbours_are_looked_for_once_a_second_at_most() -> None:
    looks: list[int] = []

    def look() -> list[VideoDevice]:
        looks.append(1)
        return [LEFT]

    now = 100.0
    finder = Finder("0", list_devices=look, clock=lambda: now)
    finder.watch()
    finder.find()
    begin = len(looks)
    for _ in range(100):
        finder.watch()
    assert len(looks) == begin + 2, "which nodes there are, then who they are"
    now += 1.0
    for _ in range(100):
        finder.watch()
    assert len(looks) == begin + 3, "the same nodes are not looked at again"


def test_on_the_same_port_one_with_another_serial_is_another_camera() -> None:
    ports = Ports(LEFT)
    finder = ports.finder("0")
    finder.find()
    finder.lost()
    ports.devices = []
    with pytest.raises(NoCamera):
        finder.find()
    ports.devices = [VideoDevice("/dev/video0", "Left", LEFT.port, LEFT.model, "A2")]
    with pytest.raises(NoCamera, match="is not taken in its place"):
        finder.find()
    ports.now += REPLACED_AFTER
    assert finder.find().serial == "A2"


def test_a_serial_that_could_not_be_read_just_now_makes_no_other_camera() -> None:
    ports = Ports(LEFT)
    finder = ports.finder("0")
    finder.find()
    finder.lost()
    ports.devices = [VideoDevice("/dev/video0", "Left", LEFT.port, LEFT.model, "")]
    assert finder.find().node == "/dev/video0"


def test_a_twin_with_the_same_serial_is_not_taken_for_the_chosen_one() -> None:
    twin = moved(LEFT, "/dev/video2", "usb1/1-2")
    ports = Ports(LEFT, twin)
    finder = ports.finder("0")
    finder.find()
    finder.lost()
    ports.devices = [twin]
    with pytest.raises(NoCamera):
        finder.find()


def test_the_chosen_one_is_known_by_its_serial_on_another_port() -> None:
    ports = Ports(LEFT, RIGHT)
    finder = ports.finder("0")
    finder.find()
    finder.lost()
    ports.devices = [RIGHT]
    with pytest.raises(NoCamera):
        finder.find()
    stranger = VideoDevice("/dev/video6", "Third", "usb1/1-3", "aaaa:bbbb")
    ports.devices = [RIGHT, stranger, moved(LEFT, "/dev/video4", "usb1/1-4")]
    assert finder.find().name == "Left"


def test_a_link_decides_alone(tmp_path: Path) -> None:
    link = tmp_path / "by-path"
    finder = Ports(LEFT, RIGHT).finder(str(link))
    with pytest.raises(NoCamera, match="is not there"):
        finder.find()
    link.symlink_to(RIGHT.node)
    assert finder.find() == RIGHT
    link.unlink()
    link.symlink_to("/dev/video1")
    with pytest.raises(NoCamera, match=r"leads to /dev/video1, which hands out no pictures"):
        finder.find()


def node(sysfs: Path, number: int, name: str, parent: Path, index: int = 0, driver: str = "uvcvideo") -> None:
    entry = sysfs / f"video{number}"
    entry.mkdir(parents=True)
    (entry / "name").write_text(name + "\n")
    (entry / "index").write_text(f"{index}\n")
    parent.mkdir(parents=True, exist_ok=True)
    (entry / "device").symlink_to(parent)
    if not (parent / "driver").exists():
        (sysfs / "drivers" / driver).mkdir(parents=True, exist_ok=True)
        (parent / "driver").symlink_to(sysfs / "drivers" / driver)


def test_on_a_raspberry_pi_only_the_webcams_picture_node_is_a_camera(tmp_path: Path) -> None:
    sysfs = tmp_path / "class"
    usb = tmp_path / "xhci" / "usb1" / "1-2"
    node(sysfs, 0, "HD Pro Webcam C920", usb / "1-2:1.0")
    node(sysfs, 1, "HD Pro Webcam C920", usb / "1-2:1.0", index=1)
    for name, text in (("idVendor", "046d"), ("idProduct", "082d"), ("serial", "77F3")):
        (usb / name).write_text(text + "\n")
    node(sysfs, 10, "bcm2835-codec-decode", tmp_path / "soc" / "codec", driver="bcm2835-codec")
    node(sysfs, 19, "rpi-hevc-dec", tmp_path / "soc" / "hevc", driver="rpi-hevc-dec")
    node(sysfs, 20, "pispbe-input", tmp_path / "soc" / "pispbe", driver="pispbe")
    node(sysfs, 30, "rp1-cfe-csi2_ch0", tmp_path / "soc" / "csi", driver="rp1-cfe")
    asked = []

    def takes_pictures(device: VideoDevice) -> bool:
        asked.append(device.node)
        return device.index == 0

    found = plugged_in(sysfs, takes_pictures=takes_pictures)
    assert found == [VideoDevice("/dev/video0", "HD Pro Webcam C920", str(usb), "046d:082d", "77F3", 0)]
    assert sorted(asked) == ["/dev/video0", "/dev/video1"]  # the Pi's own nodes are not even opened


def test_the_lasting_names_of_a_node_are_its_links(tmp_path: Path) -> None:
    for folder, name, target in (
        ("by-id", "usb-046d_C920_77F3-video-index0", "/dev/video0"),
        ("by-path", "platform-xhci-usb-0:2:1.0-video-index0", "/dev/video0"),
        ("by-path", "platform-xhci-usb-0:2:1.0-video-index1", "/dev/video1"),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).symlink_to(target)
    names = lasting_names("/dev/video0", tmp_path)
    assert [Path(name).parent.name for name in names] == ["by-id", "by-path"]
    assert lasting_names("/dev/video9", tmp_path) == []
