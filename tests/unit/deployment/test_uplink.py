"""Through the site's proxy or past it: the doctor and visantctl go the way that the services go."""

import re
from pathlib import Path

import httpx
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from visantctl.host.settings import Settings
from visantctl.network.uplink import goes_through_proxy

PROXY = "http://proxy.example:3128"
COMPOSE = Path(__file__).parents[3] / "compose.yaml"

names = st.sampled_from(
    [
        "camera",
        "cloud",
        "a.cloud",
        "corp.camera",
        "example.org",
        "api.example.org",
        "notexample.org",
        "localhost",
        "10.0.0.7",
        "[::1]",
    ]
)
entries = st.lists(
    st.builds(
        lambda lead, name, port: f"{lead}{name}{port}",
        st.sampled_from(["", "", "", ".", "http://", "https://", "all://"]),
        names,
        st.sampled_from(["", "", "", ":8443"]),
    )
    | st.sampled_from(["", " ", "*", "::1", "10.0.0.0/8"]),
    max_size=4,
)


def services_go_through(environment: dict[str, str], url: str) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        for key in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
            patch.delenv(key, raising=False)
            patch.delenv(key.lower(), raising=False)
        for key, value in environment.items():
            patch.setenv(key, value)
        try:
            client = httpx.Client(verify=False)  # loads no authorities: nothing is sent
        except httpx.InvalidURL:  # the services say so and do not start
            assume(False)
        return client._transport_for_url(httpx.URL(url)) is not client._transport


@example(scheme="https", host="edge.corp.camera", port="", none_for=["camera"], key="HTTPS_PROXY")
@example(scheme="https", host="10.0.0.7", port="", none_for=["10.0.0.0/8"], key="HTTPS_PROXY")
@given(
    st.sampled_from(["http", "https"]),
    names,
    st.sampled_from(["", ":8443"]),
    entries,
    st.sampled_from(["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"]),
)
def test_visantctl_takes_the_services_way(scheme: str, host: str, port: str, none_for: list[str], key: str) -> None:
    environment = {key: PROXY, "NO_PROXY": ",".join(none_for)}
    url = f"{scheme}://{host}{port}/v1"
    assert (goes_through_proxy(environment, url) is not None) == services_go_through(environment, url)


@pytest.mark.parametrize("key", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_is_found_under_each_name_that_the_services_read(tmp_path: Path, key: str) -> None:
    file = tmp_path / ".env.device"
    file.write_text(f"{key}={PROXY}\nno_proxy=.example.org\n")
    proxies = Settings.load(file, {}).proxies
    for url in ("https://cloud.example", "https://a.example.org"):
        assert (goes_through_proxy(proxies, url) is not None) == services_go_through(
            {key: PROXY, "no_proxy": ".example.org"}, url
        )


@pytest.mark.parametrize("url", ["https://a.cloud", "https://edge.corp.camera", "https://redis.example.org"])
def test_no_name_of_a_container_keeps_a_cloud_from_the_sites_proxy(url: str) -> None:
    inside = re.search(r"NO_PROXY: ([^\s$]+)", COMPOSE.read_text())
    assert inside is not None
    assert services_go_through({"HTTPS_PROXY": PROXY, "NO_PROXY": inside[1]}, url)
