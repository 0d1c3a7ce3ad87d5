"""STORAGE_URL: which bucket, where in it, and who serves it. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from visant_runtime.settings import base_url


@dataclass(frozen=True)
class S3Url:
    """`s3://bucket/prefix?endpoint=https://host&region=name`; it holds no secret."""

    bucket: str
    prefix: str
    """Without slashes around it; empty: the bucket is all ours."""
    endpoint: str | None
    """None: Amazon's."""
    region: str

    def __str__(self) -> str:
        query = {"endpoint": self.endpoint, "region": self.region}
        given = urlencode({key: value for key, value in query.items() if value}, safe=":/")
        return f"s3://{self.bucket}{'/' if self.prefix else ''}{self.prefix}?{given}"


_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]*(/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*")
_REGION = re.compile(r"[A-Za-z0-9-]{1,64}")


def s3_url(value: str | S3Url | None) -> S3Url | None:
    """Raises ValueError with a reason that quotes nothing that could be a key."""
    if value is None or isinstance(value, S3Url):
        return value
    parts = urlsplit(value.strip())
    if parts.scheme != "s3":
        raise ValueError("it must begin with s3://")
    if "@" in parts.netloc:
        raise ValueError("keys do not belong here: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError("after s3:// it must name a bucket, of 3 to 63 letters, digits, dots and hyphens")
    prefix = parts.path.strip("/")
    if prefix and not _PREFIX.fullmatch(prefix):
        raise ValueError("the prefix after the bucket may have letters, digits and . _ = - between slashes")
    query = parse_qsl(parts.query, keep_blank_values=True)
    given = dict(query)
    if len(given) < len(query) or not given.keys() <= {"endpoint", "region"} or parts.fragment:
        raise ValueError("behind ? it takes endpoint and region, once each, and nothing else; keys are settings")
    endpoint, region = given.get("endpoint"), given.get("region", "us-east-1")
    if not _REGION.fullmatch(region):
        raise ValueError("the region is a word such as eu-central-1")
    if endpoint is not None:
        try:
            endpoint = base_url(endpoint)
        except ValueError as error:
            raise ValueError(f"the endpoint is no address: {error}") from None
    return S3Url(parts.netloc, prefix, endpoint, region)
