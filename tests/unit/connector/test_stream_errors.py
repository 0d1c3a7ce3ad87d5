import pytest

from visant_connector.stream_errors import refused


@pytest.mark.parametrize(
    ("status", "token", "words"),
    [
        (401, True, ["401", "refuses DEVICE_TOKEN", "visant-cloud create-device FLOOR1"]),
        (401, False, ["wants a token"]),
        (403, True, ["403", "FLOOR1", "activate"]),
        (404, True, ["404", "create FLOOR1", "DEVICE_ID", "no such device"]),
    ],
)
def test_a_refusal_names_what_to_do(status: int, token: bool, words: list[str]) -> None:
    line = refused(status, "no such device", "FLOOR1", token)
    for word in words:
        assert word in line
