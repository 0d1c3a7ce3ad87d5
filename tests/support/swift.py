"""A real S3 server for tests: OpenStack Swift with its S3 interface, on free loopback ports, gone with its block."""

import datetime as dt
import hashlib
import hmac
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urlencode

import httpx

from tests.support import swift_servers
from tests.support.memory import memory_folder

_PYTHON = "/usr/bin/python3"
_PROGRAM = str(Path(swift_servers.__file__).resolve())
REGION = "us-east-1"


def missing() -> str | None:
    """Why there is no Swift here, or None."""
    if not os.path.exists(_PYTHON):
        return f"no {_PYTHON}: Swift is Debian's package"
    found = subprocess.run([_PYTHON, _PROGRAM, "--check"], capture_output=True, text=True, check=False)
    if found.returncode:
        return f"no Swift here ({found.stderr.strip()[-200:]}); as root, tools/test_needs.sh installs it"
    with tempfile.NamedTemporaryFile(dir=memory_folder()) as file:
        try:
            os.setxattr(file.name, "user.swift", b"x")
        except OSError as error:
            return f"the file system of {file.name} has no extended attributes, which Swift needs ({error.strerror})"
    return None


class SwiftServer:
    """Starts at the beginning of the block. Everything that it stores lies in memory."""

    key_id, secret = swift_servers.KEY_ID, swift_servers.SECRET

    def __enter__(self) -> "SwiftServer":
        self._folder = Path(tempfile.mkdtemp(prefix="visant-swift-", dir=memory_folder()))
        self._log = open(self._folder / "log", "wb")
        self._process = subprocess.Popen(
            [_PYTHON, _PROGRAM, str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        port = self._process.stdout.readline()
        if not port:
            told = (self._folder / "log").read_text()[-2000:]
            self.__exit__(None, None, None)
            raise RuntimeError(f"Swift did not start: {told}")
        self.endpoint = f"http://127.0.0.1:{int(port)}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()  # its word to end the four and itself
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(20)
        self._process.stdout.close()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def settings(self, bucket: str, prefix: str = "", endpoint: str | None = None) -> dict[str, str]:
        """What the environment of a cloud says."""
        query = urlencode({"endpoint": endpoint or self.endpoint, "region": REGION})
        return {
            "STORAGE_URL": f"s3://{bucket}/{prefix}?{query}",
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
        }

    def request(self, method: str, path: str, body: bytes = b"", query: dict[str, str] | None = None) -> httpx.Response:
        """One signed request, past the client that the cloud uses: `path` is `/bucket` or `/bucket/key`.

        Signature version 4: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
        """
        now = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        host = self.endpoint.removeprefix("http://")
        content = hashlib.sha256(body).hexdigest()
        headers = {"host": host, "x-amz-content-sha256": content, "x-amz-date": now}
        path, words = quote(path, safe="/~"), urlencode(sorted((query or {}).items()), quote_via=quote)
        signed = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        canonical = f"{method}\n{path}\n{words}\n{lines}\n{signed}\n{content}"
        scope = f"{now[:8]}/{REGION}/s3/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{self.secret}".encode()
        for word in (*scope.split("/"), to_sign):
            key = hmac.digest(key, word.encode(), "sha256")
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.key_id}/{scope},SignedHeaders={signed},Signature={key.hex()}"
        )
        url = f"{self.endpoint}{path}" + (f"?{words}" if words else "")
        return httpx.request(method, url, content=body, headers=headers, timeout=30)

    def make_bucket(self, name: str) -> None:
        """An empty one."""
        answer = self.request("PUT", f"/{name}")
        assert answer.status_code == 200, answer.text

    def keys(self, bucket: str) -> list[str]:
        """All of a bucket."""
        found: list[str] = []
        while True:
            after = {"start-after": found[-1]} if found else {}
            answer = self.request("GET", f"/{bucket}", query={"list-type": "2", **after})
            assert answer.status_code == 200, answer.text
            some = re.findall(r"<Key>(.*?)</Key>", answer.text)
            if not some:
                return found
            found += some
