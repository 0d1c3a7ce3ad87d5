"""A site's own authority, as sites make them: without a key usage."""

import ssl
from pathlib import Path

import pytest

from tests.support.hard_network import Authority
from visant_runtime.settings import SettingsError
from visant_runtime.tls import with_site_authorities


def handshake(certificate: Path, client: ssl.SSLContext) -> None:
    """Between two ends in memory; raises what the client says."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(8):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue


def test_an_authority_without_a_key_usage_is_trusted_also_where_python_is_strict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    certificate = authority.certificate("cloud")
    strict = ssl.create_default_context(cafile=str(authority.file))
    strict.verify_flags |= ssl.VERIFY_X509_STRICT  # Python 3.13's default
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(certificate, strict)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    context = ssl.create_default_context()
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    before = len(context.get_ca_certs())
    handshake(certificate, with_site_authorities(context))
    assert len(context.get_ca_certs()) >= max(before, 1)


def test_a_file_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent.pem"))
    with pytest.raises(SettingsError, match="SSL_CERT_FILE"):
        with_site_authorities(ssl.create_default_context())
