"""The cloud's API over HTTP: one place for retries, time-outs, pages, and for what is said when it does not work.

A request is sent again where that is safe: where it was never sent, where the cloud says that it did nothing (429,
503), and also where its answer was lost, for one that may be repeated: a read, a PUT, a DELETE, or one with an
Idempotency-Key.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from visant_cli.failure import CloudRefused, ExitStatus, Failure

if TYPE_CHECKING:
    import httpx  # costs a quarter of a second: loaded where a cloud is asked

ATTEMPTS = 5
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_REPEATABLE = ("GET", "PUT", "DELETE")
_FOLLOWING = {"next_before": "before", "next_after": "after", "next_cursor": "cursor", "next": "cursor"}
"""Field of a page -> the parameter that asks for what follows it."""
_COME_BACK = (429, 503)
_NO_ROUTE = ((404, "Not Found"), (405, "Method Not Allowed"))
"""What a cloud says where it has no such route at all."""
_ON_THE_WAY = (502, 504)
"""Said by what stands before the cloud: nobody knows whether the request was done."""
_STATUS = {
    400: ExitStatus.USAGE,
    401: ExitStatus.NOT_ALLOWED,
    403: ExitStatus.NOT_ALLOWED,
    404: ExitStatus.NOT_FOUND,
    409: ExitStatus.CONFLICT,
    412: ExitStatus.CONFLICT,
    413: ExitStatus.USAGE,
    415: ExitStatus.USAGE,
    422: ExitStatus.USAGE,
    428: ExitStatus.CONFLICT,
    429: ExitStatus.CLOUD_AWAY,
}


def path(*parts: str | int) -> str:
    """`/v1/...` of its parts, each quoted; only the last may hold a slash, which stays one (a trigger's id)."""
    *first, last = [str(one) for one in parts]
    return "/v1/" + "/".join([*(quote(one, safe="") for one in first), quote(last, safe="/" if first else "")])


class Event(NamedTuple):
    """One server-sent event; `id` is empty where it has none."""

    id: str
    data: str


class Cloud:
    """One cloud for one caller. `timeout` is how many seconds a request may take, with its repetitions.

    `note` is told once of each wait, in words for a person.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        organisation: str | None = None,
        timeout: float = 30.0,
        note: Callable[[str], None] = lambda line: None,
        transport: "httpx.BaseTransport | None" = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self._token = token
        self._organisation = organisation
        self._timeout = timeout
        self._note = note
        self._transport = transport
        self._sleep = sleep
        self._made: httpx.Client | None = None

    @property
    def _client(self) -> "httpx.Client":
        if self._made is None:
            import httpx

            headers = {"User-Agent": "visant-cli", "Accept": "application/json"}
            if self._token is not None:
                headers["Authorization"] = f"Bearer {self._token}"
            if self._organisation is not None:
                headers["Visant-Organisation"] = self._organisation
            try:
                self._made = httpx.Client(
                    headers=headers,
                    timeout=httpx.Timeout(self._timeout, connect=min(10.0, self._timeout)),
                    transport=self._transport,
                )
            except (OSError, ValueError) as error:  # SSL_CERT_FILE or a proxy's address
                raise Failure(
                    f"the way to {self.url} cannot be set up ({error}): look at SSL_CERT_FILE and HTTPS_PROXY",
                    ExitStatus.LOCAL,
                ) from None
        return self._made

    def close(self) -> None:
        """Its connections end."""
        if self._made is not None:
            self._made.close()

    def get(self, where: str, **query: Any) -> Any:
        """The answer to a read; what is None in the query is left out."""
        return self.ask("GET", where, query=query)[0]

    def ask(
        self,
        method: str,
        where: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        key: str | None = None,
        etag: str | None = None,
        repeatable: bool = False,
    ) -> tuple[Any, str | None]:
        """The answer, parsed (None where it is empty), and its ETag. `key`: an Idempotency-Key; `etag`: for If-Match;
        `repeatable`: a POST that does the same however often it comes.

        Raises Failure.
        """
        import httpx

        headers = {name: value for name, value in (("Idempotency-Key", key), ("If-Match", etag)) if value is not None}
        parameters = {name: value for name, value in (query or {}).items() if value is not None}
        repeatable = repeatable or method in _REPEATABLE or key is not None
        until = time.monotonic() + self._timeout
        for attempt in range(1, ATTEMPTS + 1):
            sent_before = attempt > 1
            try:
                response = self._client.request(method, self.url + where, params=parameters, json=body, headers=headers)
            except httpx.HTTPError as error:
                failure, may_repeat = self._no_answer(error), repeatable or isinstance(error, httpx.ConnectError)
                wait = self._wait(attempt)
            except httpx.InvalidURL as error:
                raise Failure(f"{self.url}: {error}", ExitStatus.USAGE) from None
            else:
                if response.is_success:
                    return self._parsed(response), response.headers.get("ETag")
                if method == "DELETE" and sent_before and response.status_code == 404:
                    return None, None  # the answer to the first one was lost
                failure = self._refusal(response)
                own_word = isinstance(failure, CloudRefused)
                may_repeat = (response.status_code in _COME_BACK and (own_word or repeatable)) or (
                    response.status_code in _ON_THE_WAY and repeatable
                )
                wait = _retry_after(response) or self._wait(attempt)
            if not may_repeat or attempt == ATTEMPTS or time.monotonic() + wait > until:
                raise failure
            self._note(f"{failure.line}; again in {wait:.0f} s" if wait >= 1 else f"{failure.line}; again")
            self._sleep(wait)
        raise AssertionError("the last attempt raises or returns")

    def text(self, method: str, where: str) -> str:
        """An answer that is no JSON: a page. Raises Failure; nothing is sent twice."""
        import httpx

        try:
            response = self._client.request(method, self.url + where)
        except httpx.HTTPError as error:
            raise self._no_answer(error) from None
        if not response.is_success:
            raise self._refusal(response)
        return response.text

    def pages(self, where: str, items: str, *, most: int | None = None, **query: Any) -> Iterator[dict[str, Any]]:
        """What a list holds, page after page, however the list says that it goes on."""
        given = 0
        while True:
            page = self.get(where, **query)
            for one in page[items]:
                yield one
                given += 1
                if given == most:
                    return
            for field, name in _FOLLOWING.items():
                if page.get(field) is not None:
                    query[name] = page[field]
                    break
            else:
                return

    @contextmanager
    def stream(
        self,
        where: str,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        silence: float | None = None,
    ) -> Iterator["httpx.Response"]:
        """An answer that is read piece by piece. `silence`: seconds without a piece after which it is given up.

        Raises Failure, also while it is read.
        """
        import httpx

        parameters = {name: value for name, value in (query or {}).items() if value is not None}
        limits = httpx.Timeout(silence or self._timeout, connect=min(10.0, self._timeout))
        try:
            with self._client.stream(
                "GET", self.url + where, params=parameters, headers=headers, timeout=limits
            ) as response:
                if not response.is_success:
                    response.read()
                    raise self._refusal(response)
                yield response
        except httpx.HTTPError as error:
            raise self._no_answer(error) from None

    def events(self, where: str, *, query: dict[str, Any], headers: dict[str, str], silence: float) -> Iterator[Event]:
        """A stream of server-sent events until it ends. Raises Failure."""
        import httpx_sse

        wanted = {"Accept": "text/event-stream", **headers}
        with self.stream(where, query=query, headers=wanted, silence=silence) as response:
            try:
                for one in httpx_sse.EventSource(response).iter_sse():
                    yield Event(one.id, one.data)
            except httpx_sse.SSEError:
                raise self._stranger(response) from None

    def _wait(self, attempt: int) -> float:
        return float(random.uniform(0.5, 1.0) * min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt))

    def _parsed(self, response: "httpx.Response") -> Any:
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise self._stranger(response) from None

    def _no_answer(self, error: "httpx.HTTPError") -> Failure:
        import ssl

        import httpx

        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return Failure(
                    f"{self.url}: its certificate is not trusted here ({cause.verify_message}): name the authority's "
                    "file in SSL_CERT_FILE",
                    ExitStatus.CLOUD_AWAY,
                )
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, httpx.TimeoutException):
            why = f"no answer within {self._timeout:.0f} s"
        else:
            why = str(error) or type(error).__name__
        return Failure(
            f"{self.url} does not answer ({why}): is the address right, is the cloud up?", ExitStatus.CLOUD_AWAY
        )

    def _refusal(self, response: "httpx.Response") -> Failure:
        """In the cloud's own words where it spoke; what stands before it is named as such."""
        status = response.status_code
        if response.is_redirect:
            to = urlsplit(response.headers.get("Location", ""))
            where = f"{to.scheme}://{to.netloc}" if to.netloc else "another address"
            return Failure(
                f"{self.url} says that it is {where} now: visant login {where}; no token was sent there",
                ExitStatus.CLOUD_AWAY,
            )
        try:
            told = response.json()
            detail, reason = told["detail"], told.get("reason")
        except (ValueError, TypeError, KeyError, AttributeError):
            return self._stranger(response)
        if not isinstance(detail, str):
            return self._stranger(response)
        if (status, detail) in _NO_ROUTE and reason is None:
            what = response.request.url.path
            detail = f"{self.url} has no {response.request.method} {what}: it is of an older release than this visant"
        if status == 401:
            ours = "this token is not valid there" if self._token else "a token is needed"
            detail = f"{self.url}: {ours}: visant login, or set VISANT_TOKEN ({detail})"
        code = _STATUS.get(status, ExitStatus.CLOUD_AWAY if status >= 500 else ExitStatus.USAGE)
        return CloudRefused(detail, code, http_status=status, reason=reason if isinstance(reason, str) else None)

    def _stranger(self, response: "httpx.Response") -> Failure:
        what = response.headers.get("Content-Type", "nothing").partition(";")[0]
        return Failure(
            f"{self.url} answered {response.status_code} with {what}, which is no word of a Visant cloud: is the "
            "address right, or does a proxy or a sign-in page of the network stand before it?",
            ExitStatus.CLOUD_AWAY,
        )


def _retry_after(response: "httpx.Response") -> float | None:
    try:
        return min(_LONGEST_WAIT, max(0.0, float(response.headers["Retry-After"])))
    except (KeyError, ValueError):
        return None
