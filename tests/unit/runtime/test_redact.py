"""No address, whatever its form, shows what is secret in it; and what is read of it is what was meant."""

from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import visant_runtime.redact
from visant_runtime.redact import MASK, hide, read, redact, secrets_in, shown

HOST_COPY = Path(__file__).parents[3] / "deployment/visantctl/host/redact.py"

passwords = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=14)
places = st.sampled_from(["10.0.0.5", "10.0.0.5:554", "[fe80::1]:8554", "[::1]", "127.0.0.1:8554"])


def test_services_and_visantctl_hide_alike() -> None:
    assert HOST_COPY.read_text() == Path(visant_runtime.redact.__file__).read_text()


@example("7391/zqk9", "10.0.0.5")
@example("7391?zqk9", "10.0.0.5")
@example("7391#zqk9", "10.0.0.5")
@example("hunt[zqk]22", "10.0.0.5")
@example("p@zqkzqk", "10.0.0.5")
@example("://zqk/x@", "10.0.0.5")
@given(passwords, places)
def test_a_password_as_it_was_typed_is_used_and_never_shown(password: str, place: str) -> None:
    text = f"rtsp://admin:{password}@{place}/live"
    address = read(text)
    assert address.url.endswith(f"@{place}/live")
    user, _, encoded = address.url.removeprefix("rtsp://").rpartition("@")[0].partition(":")
    assert user == "admin"
    assert unquote(encoded) == unquote(password)
    assert not set("@/?#[]") & set(encoded)
    assert address.shown == shown(text) == f"rtsp://{MASK}@{place}/live"
    assert password not in hide(f"open {password}: {text} is away", address.secrets)
    assert unquote(password) not in hide(f"open {unquote(password)}!", address.secrets) or len(unquote(password)) < 4


@given(passwords, st.sampled_from(["cam", "cam.site.example", "nvr:554", "localhost"]))
def test_nor_is_it_where_the_host_is_a_name(password: str, place: str) -> None:
    text = f"rtsp://admin:{password}@{place}/live"
    for piece in (piece for piece in password.split("@") if len(piece) >= 4):
        assume(piece not in "rtsp://****@" + place + "/live")
        assert piece not in shown(text)
        assert piece not in hide(f"no {password} of {text}", secrets_in(text))


@given(passwords)
def test_a_percent_encoded_one_is_used_as_it_is(password: str) -> None:
    encoded = quote(password, safe="")
    address = read(f"rtsp://admin:{encoded}@cam/live")
    assert unquote(address.url) == f"rtsp://admin:{password}@cam/live"
    assert address.certain


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("rtsp://hunter22@10.0.0.5/live", "rtsp://****@10.0.0.5/live"),
        ("rtsp://10.0.0.5:554/user=admin_password=hunter22_channel=1.sdp?real", "rtsp://10.0.0.5:554/****?****"),
        ("rtsp://10.0.0.5/live?user=a&password=hunter22", "rtsp://10.0.0.5/live?****"),
        ("rtsp://10.0.0.5/live#hunter22", "rtsp://10.0.0.5/live#****"),
        ("rtsps://10.0.0.5:7441/hunter22AbCd?enableSrtp", "rtsps://10.0.0.5:7441/****?****"),
        ("rtsp://10.0.0.5/live/hunter22", "rtsp://10.0.0.5/****"),
        ("RTSP://Admin:hunter22@Cam.Example/Live", "rtsp://****@Cam.Example/Live"),
        ("rtsp://10.0.0.5/Streaming/Channels/101", "rtsp://10.0.0.5/Streaming/Channels/101"),
        ("rtsp://10.0.0.5/h264/ch1/main/av_stream", "rtsp://10.0.0.5/h264/ch1/main/av_stream"),
        ("rtsp://cam:hunter22", "rtsp://****"),
        ("rtsp://", "rtsp://"),
        ("redis://:hunter22@redis:6379/0", "redis://****@redis:6379/0"),
        ("unix:///run/redis.sock?password=hunter22", "unix:///run/redis.sock?****"),
        ("http://u:p/hunter22@proxy:3128", "http://****@proxy:3128"),
        ("http://u:1/hunter22@proxy:3128", "http://****"),
        ("https://cloud.example:8443/base/v1", "https://cloud.example:8443/base/v1"),
        ("https://cloud.example/3f2a9c0d1e4b5a6978", "https://cloud.example/****"),
        ("/dev/video0", "/dev/video0"),
    ],
)
def test_what_is_not_known_to_be_harmless_is_not_shown(text: str, seen: str) -> None:
    assert shown(text) == seen
    assert "hunter22" not in redact(f"source={text}, gone", secrets_in(text))


@pytest.mark.parametrize(
    "text", ["rtsp://", "rtsp://:554/live", "rtsp://cam:x/live", "rtsp://u:p@:1/x", "cam/live", "rtsp://a\nb@c/"]
)
def test_what_is_no_address_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(ValueError) as error:
        read(text)
    assert (
        "%40" in str(error.value)
        or "host" in str(error.value)
        or "scheme" in str(error.value)
        or "seen" in str(error.value)
    )


@pytest.mark.parametrize(
    "text",
    [
        "DEVICE_TOKEN=hunter22", "psk=hunter22", 'password: "hunter22 and more"', "Authorization: Bearer hunter22",
        "CAMERA_SOURCE=rtsp://admin:hunter22@10.0.0.9/stream", '"api_key": "hunter22"', "tailscale --auth-key=hunter22",
        "Proxy-Authorization: Basic aHVudGVyMjI6hunter22", "see (rtsp://a:hunter22@b/c).",
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_masked_in_a_report(text: str) -> None:
    assert "hunter22" not in redact(text)
    assert MASK in redact(text)


@pytest.mark.parametrize(
    "line",
    [
        "DEVICE_TOKEN_FILE=/run/secrets/device_token cannot be read",
        "API_URL=https://cloud.example:8443/x",
        "12:00:01 uploader ok",
        "a basic setup, see https://docs.example/x.",
    ],
)
def test_what_helps_is_left(line: str) -> None:
    assert redact(line) == line
    assert hide(line) == line
