"""Reasons that the camera gives: the uploader knows them all, and docs/camera.md explains them."""

import re
from pathlib import Path

from visant_camera.drivers import base
from visant_contract.snapshot import SNAPSHOT_REASONS

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs/camera.md").read_text()


def test_each_error_of_a_driver_has_a_reason_that_the_uploader_knows() -> None:
    """Any other arrives as `camera_unreachable`, whose remedy is another."""
    errors = [kind for kind in vars(base).values() if isinstance(kind, type) and issubclass(kind, base.CameraError)]
    assert {kind.reason for kind in errors} <= set(SNAPSHOT_REASONS)
    assert len(errors) > 4


def test_the_document_explains_each_reason_of_a_snapshot() -> None:
    table = DOCUMENT.partition("| reason | meaning |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(SNAPSHOT_REASONS)
