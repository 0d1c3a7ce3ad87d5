"""A package's version as its release spells it."""

from importlib import metadata

import pytest

from visant_runtime.version import release_version


@pytest.mark.parametrize(
    ("pythons", "releases"),
    [
        ("2.1.0", "2.1.0"),
        ("2.1.0a1", "2.1.0-alpha.1"),
        ("2.1.0b12", "2.1.0-beta.12"),
        ("10.0.3rc2", "10.0.3-rc.2"),
    ],
)
def test_an_early_version_is_spelt_as_the_release_is(
    pythons: str, releases: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", lambda package: {"visant-uploader": pythons}[package])
    assert release_version("visant-uploader") == releases
