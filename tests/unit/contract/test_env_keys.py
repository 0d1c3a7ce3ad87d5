import pytest

from visant_contract.env_keys import KNOWN, misspelt


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("DEVICE_TOKN", "DEVICE_TOKEN"),
        ("API_ULR", "API_URL"),
        ("CAMERA_SOURSE", "CAMERA_SOURCE"),
        ("UPLOAD_TIME_OUT", "UPLOAD_TIMEOUT"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("Capture_Patence", "CAPTURE_PATIENCE"),
    ],
)
def test_a_key_with_a_typing_error_is_named_with_the_one_that_is_meant(typed: str, meant: str) -> None:
    assert misspelt([typed, "DEVICE_ID"]) == [
        f"{typed} is no setting, it does nothing: is {meant} meant? Edit .env.device"
    ]


def test_what_is_known_or_somebody_elses_is_left_alone() -> None:
    others = ["PATH", "HOME", "HOSTNAME", "LANG", "LC_ALL", "TERM", "LOGNAME", "PYTHONPATH", "NIX_SSL_CERT_FILE"]
    of_the_images = ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "PYTHONUNBUFFERED", "VISANT_ROOT", "NOTIFY_SOCKET", "SHLVL"]
    assert misspelt([*KNOWN, *(key.lower() for key in KNOWN), *others, *of_the_images]) == []
