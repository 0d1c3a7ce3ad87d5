"""What the environment may set, parsed once."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from visant_cloud.access.forwarded import trusted
from visant_cloud.access.same_origin import origin
from visant_cloud.alerts import certificate
from visant_cloud.captures.s3_url import S3Url, s3_url
from visant_cloud.channels.email import Server, address, server
from visant_cloud.database import connection_url
from visant_runtime.settings import Settings, SettingsError, checked_redis_url, value_or_file


def database_url(value: str) -> str:
    """A URL that `Database` understands, from what people and hosting platforms write.

    `postgres://`, `postgresql://` (store/connection_url.py) and `sqlite:///path` are accepted. Raises ValueError for
    anything else.
    """
    scheme = value.partition("://")[0].partition("+")[0]
    if scheme in ("postgres", "postgresql"):
        return connection_url.normal(value)
    if scheme == "sqlite" and value.partition("://")[2].startswith("/"):
        return "sqlite+aiosqlite://" + value.partition("://")[2]
    raise ValueError("it must begin with postgresql://, postgres:// or sqlite:///")


def _checked(value: SecretStr | None) -> SecretStr | None:
    return None if value is None else SecretStr(database_url(value.get_secret_value()))


def _where(value: str | None) -> str | None:
    if value is not None:
        certificate.where(value)
    return value


def _proxies(value: str) -> str:
    trusted(value)
    return value


def _origin(value: str | None) -> str | None:
    return None if value is None else origin(value)


def _redis_address(value: str | None) -> str | None:
    return None if value is None else checked_redis_url(value)


def _smtp(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        server(value.get_secret_value())
    return value


def _address(value: str | None) -> str | None:
    return None if value is None else address(value)


class CloudSettings(Settings):
    """One object per process. Times in seconds, sizes in bytes."""

    port: Annotated[int, Field(ge=0, le=65535, description="a port number; 0 takes a free one")] = 8000
    http_host: str = "0.0.0.0"  # noqa: S104 - a server that devices reach; loopback is one setting away
    data_dir: Annotated[Path, Field(description="a folder that this user may write")] = Path("visant-cloud-data")
    """Pictures where STORAGE_URL is not set, and the SQLite file where DATABASE_URL is not set."""
    database_url: Annotated[
        SecretStr | None,
        AfterValidator(_checked),
        Field(description="e.g. postgresql://user:password@host/name or sqlite:////data/cloud.db"),
    ] = None
    redis_url: Annotated[
        str | None,
        AfterValidator(_redis_address),
        Field(description="e.g. redis://:password@host:6379/0, or unset: processes then hear each other after 5 s"),
    ] = None
    storage_url: Annotated[
        S3Url | None,
        NoDecode,
        BeforeValidator(s3_url),
        Field(description="e.g. s3://bucket/prefix?endpoint=https://s3.example&region=eu-central-1"),
    ] = None
    """Pictures lie in DATA_DIR where it is not set."""
    aws_access_key_id: Annotated[
        str | None, Field(description="the name of the key for STORAGE_URL; or set AWS_ACCESS_KEY_ID_FILE")
    ] = None
    aws_access_key_id_file: Annotated[Path | None, Field(description="a file that holds it alone")] = None
    aws_secret_access_key: Annotated[
        SecretStr | None, Field(description="the key itself; or set AWS_SECRET_ACCESS_KEY_FILE")
    ] = None
    aws_secret_access_key_file: Annotated[Path | None, Field(description="a file that holds it alone")] = None
    auth: Annotated[Literal["required", "open"], Field(description="`required`, or `open` for emulation only")] = (
        "required"
    )
    session_hours: Annotated[float, Field(gt=0, le=8760, description="hours that a sign-in lasts")] = 168.0
    forwarded_allow_ips: Annotated[
        str, AfterValidator(_proxies), Field(description="addresses or networks of your reverse proxies, or *")
    ] = "127.0.0.1"
    """Peers whose X-Forwarded-For, -Proto and -Host are believed: addresses or networks of reverse proxies, or `*`."""
    public_url: Annotated[str | None, AfterValidator(_origin), Field(description="e.g. https://cams.example")] = None
    """What browsers show in their address bar, where a reverse proxy does not hand on the header Host."""

    certificate_at: Annotated[
        str | None, AfterValidator(_where), Field(description="e.g. cams.example, or cams.example@front:443")
    ] = None
    """Where the certificate of this cloud is looked at, where that is not PUBLIC_URL itself."""

    manual_ttl: Annotated[float, Field(gt=0, le=86400, description="seconds, at most 86400")] = 120.0
    """How long a manual trigger waits for its device."""
    scheduled_ttl_max: Annotated[float, Field(gt=0, le=86400, description="seconds, at most 86400")] = 3600.0
    """A scheduled trigger waits one interval, but at most this."""
    silence_grace: Annotated[float, Field(ge=0, le=86400, description="seconds, at most 86400")] = 60.0
    """Past a trigger's deadline, how long the device may stay silent before the cloud says `expired` for now."""
    succeeds: Annotated[bool, Field(description="1 where this cloud replaced a plain one at its address, or 0")] = False
    """Devices then deliver here what they hold for the plain cloud of the API_URL that they came by."""
    ping_every: Annotated[float, Field(gt=0, le=3600, description="seconds, at most 3600")] = 20.0

    max_capture_bytes: Annotated[int, Field(ge=1024, le=1 << 30, description="bytes of one JPEG")] = 16 << 20
    min_free_bytes: Annotated[int, Field(ge=0, description="bytes that DATA_DIR's file system keeps free")] = 256 << 20
    retention_days: Annotated[float | None, Field(gt=0, description="days, or unset to keep everything")] = None
    audit_days: Annotated[float, Field(gt=0, le=36600, description="days, more than 0")] = 400.0
    """How long it is kept who changed what and who looked at which picture."""
    delivery_rate: Annotated[
        float | None, Field(gt=0, description="captures a second that one device may catch up with, or unset")
    ] = None

    smtp_url: Annotated[
        SecretStr | None,
        AfterValidator(_smtp),
        Field(description="e.g. smtp://user:password@mail.example:587, smtps:// for TLS from the first byte"),
    ] = None
    """The server that e-mail goes through; STARTTLS is asked for, and missed, with smtp://."""
    smtp_url_file: Annotated[Path | None, Field(description="a file that holds it alone")] = None
    mail_from: Annotated[str | None, AfterValidator(_address), Field(description="e.g. alerts@example.org")] = None
    """Whose name e-mail carries."""
    alert_allow_private: Annotated[bool, Field(description="1 lets webhooks go into private networks, or 0")] = False
    """Whoever may make a channel may then reach this cloud's own network with it."""

    @model_validator(mode="after")
    def _mail_has_a_sender(self) -> "CloudSettings":
        if self.smtp_url is not None and self.mail_from is None:
            raise SettingsError("MAIL_FROM is not set: SMTP_URL needs it, e.g. MAIL_FROM=alerts@example.org")
        return self

    @model_validator(mode="before")
    @classmethod
    def _smtp_from_file(cls, values: dict[str, Any]) -> dict[str, Any]:
        return value_or_file(values, "smtp_url", "smtp_url_file")

    @model_validator(mode="before")
    @classmethod
    def _keys_from_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Without STORAGE_URL nobody reads them: they may be another program's."""
        if values.get("storage_url") is None:
            return values
        for name, file in (
            ("aws_access_key_id", "aws_access_key_id_file"),
            ("aws_secret_access_key", "aws_secret_access_key_file"),
        ):
            if values.get(file) is None and not values.get(name):
                raise SettingsError(f"{name.upper()} is not set: STORAGE_URL needs it, or {file.upper()}")
            values = value_or_file(values, name, file)
        return values

    @property
    def uses_data_dir(self) -> bool:
        """Whether anything lies there."""
        return self.storage_url is None or self.database_url is None

    def smtp_server(self) -> Server | None:
        """Where mail goes through."""
        return None if self.smtp_url is None else server(self.smtp_url.get_secret_value())

    def certificate_where(self) -> certificate.Where | None:
        """Where the certificate is looked at; None where nobody said so."""
        if self.certificate_at is None:
            return certificate.of_url(self.public_url)
        return certificate.where(self.certificate_at)

    def engine_url(self) -> str:
        """What the database engine connects to."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{self.data_dir.absolute() / 'cloud.db'}"
