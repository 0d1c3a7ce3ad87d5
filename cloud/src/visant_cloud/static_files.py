"""The files that pages ask for: read once, compressed once, named by what is in them so that a browser keeps them."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from visant_cloud.compression import takes_gzip

FOLDER = Path(__file__).parent / "static"
_FOR_EVER = "public, max-age=31536000, immutable"
"""For an address that names the content; without its `v` a browser asks each time whether its copy is current."""


@dataclass(frozen=True)
class _File:
    body: bytes
    compressed: bytes | None
    """gzip, where that is smaller."""
    type: str
    digest: str


def _read(path: Path) -> _File:
    body = path.read_bytes()
    compressed = gzip.compress(body, 9, mtime=0)
    kind = mimetypes.guess_type(path.name)[0] or "text/plain"
    return _File(
        body,
        compressed if len(compressed) < len(body) else None,
        f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
        hashlib.sha256(body).hexdigest()[:16],
    )


class StaticFiles:
    """ASGI application for every file below a folder, as it was when the process began (some 150 KB)."""

    def __init__(self, folder: Path = FOLDER) -> None:
        paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        self._files = {path.relative_to(folder).as_posix(): _read(path) for path in paths}

    def address(self, name: str) -> str:
        """The path of a file, which changes with its content. Raises KeyError where there is no such file."""
        return f"/static/{name}?v={self._files[name].digest}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI, mounted at /static. Ranges are not served (RFC 9110, 14.2 allows it)."""
        await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405)
        path = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        found = self._files.get(path)
        if found is None:
            raise HTTPException(404)
        asked = Headers(scope=scope)
        named = f"v={found.digest}".encode() in scope["query_string"]
        headers = {
            "ETag": f'"{found.digest}"',
            "Cache-Control": _FOR_EVER if named else "no-cache",
            "Vary": "Accept-Encoding",
        }
        if headers["ETag"] in asked.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if found.compressed is not None and takes_gzip(asked):
            return Response(found.compressed, headers={**headers, "Content-Encoding": "gzip"}, media_type=found.type)
        return Response(found.body, headers=headers, media_type=found.type)


STATIC = StaticFiles()
"""Of this process."""
