"""What each process loads: a Pi has little memory, and a technician waits for the picture."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

ALONE = """
import sys
from visant_camera.commands.snapshot import snapshot

status = snapshot(["--out", sys.argv[1]])
print(*sorted({"prometheus_client", "starlette", "uvicorn"} & set(sys.modules)))
sys.exit(status)
"""


def test_one_picture_without_the_service_loads_no_web_server(tmp_path: Path) -> None:
    source, out = tmp_path / "shelf.jpg", tmp_path / "out.jpg"
    Image.new("RGB", (32, 16), "red").save(source)
    nobody_listens = {"HTTP_HOST": "127.0.0.1", "HTTP_PORT": "1"}
    found = subprocess.run(
        [sys.executable, "-c", ALONE, str(out)],
        env={"CAMERA_SOURCE": str(source), "CAMERA_STATE_DIR": str(tmp_path), **nobody_listens},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert out.read_bytes() == source.read_bytes()
    assert found.stdout.splitlines()[1:] == [""], "it loaded more than it needs"


def test_opencvs_process_loads_no_library_of_the_service_and_no_other_driver() -> None:
    child = "import sys, visant_camera.drivers.opencv.process.__main__; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-P", "-c", child], capture_output=True, text=True, timeout=60, check=True)
    loaded = found.stdout.split()
    assert not {"prometheus_client", "pydantic", "starlette", "structlog", "uvicorn"} & set(loaded)
    assert {one for one in loaded if one.startswith("visant_camera.drivers.")} == {
        "visant_camera.drivers.opencv",
        "visant_camera.drivers.opencv.process",
        "visant_camera.drivers.opencv.process.__main__",
        "visant_camera.drivers.opencv.process.messages",
        "visant_camera.drivers.opencv.process.refusal",
        "visant_camera.drivers.opencv.process.stream_clock",
        "visant_camera.drivers.registry",
    }
