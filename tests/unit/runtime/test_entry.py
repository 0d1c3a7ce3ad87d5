import pytest

from tests.support.product import VERSION
from visant_runtime.entry import dispatch


def test_a_command_gets_the_rest_of_the_line() -> None:
    seen: list[list[str]] = []

    def probe(arguments: object) -> int:
        seen.append(list(arguments))  # type: ignore[call-overload]
        return 7

    assert dispatch("visant-camera", {"probe": ("list cameras", probe)}, ["probe", "--json", "-x"]) == 7
    assert seen == [["--json", "-x"]]


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["--wrong"]])
def test_a_wrong_call_says_so_and_exits_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch("visant-camera", {"run": ("run it", lambda _: 0)}, argv) == 2
    assert "usage: visant-camera" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch("visant-camera", {"run": ("run it", lambda _: 0)}, ["--help"]) == 0
    said = capsys.readouterr().out
    assert "run it" in said and "print the version" in said


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch("visant-camera", {}, ["version"]) == 0
    assert capsys.readouterr().out.strip() == f"visant-camera {VERSION}"
