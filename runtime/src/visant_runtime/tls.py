"""Which authorities a TLS client trusts: the public ones, and those of the site."""

import os
import ssl

from visant_runtime.settings import SettingsError


def with_site_authorities(context: ssl.SSLContext) -> ssl.SSLContext:
    """`context`, which also trusts SSL_CERT_FILE (a PEM file) and SSL_CERT_DIR where they are set.

    In addition and not instead: behind a proxy that inspects some addresses, the others show their public certificate.
    And without VERIFY_X509_STRICT, Python 3.13's new default: authorities that sites made for themselves often lack the
    extensions that RFC 5280 asks for, and openssl, Go and browsers take them.
    Raises SettingsError where they cannot be used.
    """
    try:
        file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
        if file or folder:
            context.load_verify_locations(file or None, folder or None)
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(
            f"SSL_CERT_FILE or SSL_CERT_DIR cannot be used ({error.strerror or error}): name a PEM file, or unset it"
        ) from None
    return context
