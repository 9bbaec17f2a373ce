"""The short way of the hot routes: plain requests by token, without Django's middleware and REST framework (decision
0036). Whatever is not plain, or would be refused, goes the whole way, which alone knows how to refuse.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import connection
from django.http.request import split_domain_port, validate_host
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer

from orchestrator.core.errors import BranchlineError
from orchestrator.core.json_types import JsonObject
from orchestrator.engine import log_context
from orchestrator.engine.prepared import Along, Seen, SeenOtherwise
from orchestrator.project.callers import Callers, Memory
from orchestrator.queries.actors import Bearer
from orchestrator.rest.asked import Asked
from orchestrator.rest.parsing import parse_body
from orchestrator.web.middleware import GIVEN_ID, HEADERS
from orchestrator.web.observed import continued, count, facts_of

#: Requests at work at a time; more go the whole way. Each thread keeps one connection of the pool.
THREADS: Final = 4
LONGEST_BODY: Final = 65_536  # bytes
#: The middleware of which this way knows what it does for such a request. With any other it is closed.
KNOWN_MIDDLEWARE: Final = (
    "orchestrator.web.observed.observed",
    "orchestrator.web.middleware.request_id",
    "orchestrator.web.middleware.security_headers",
    "django.middleware.security.SecurityMiddleware",
    "orchestrator.project.static.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "orchestrator.web.middleware.clean_text",
)
JSON: Final = frozenset({"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"})
ACCEPTED: Final = {"*/*", "application/json", "application/json, text/plain, */*"}
#: A cookie may be a session; a body without its length is refused unread.
NOT_PLAIN: Final = frozenset({"cookie", "transfer-encoding"})
BEARER: Final = "Bearer "

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
#: Does what is asked for; (status, answer). Raises what the view would raise.
Deed = Callable[[Asked], tuple[int, JsonObject]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A hot route. `name` is its row in the policy."""

    name: str
    address: re.Pattern[str]
    #: What is read along with who asks, by the parts of the address.
    along: Callable[[Mapping[str, str]], Along]
    deed: Deed
    #: What is made of earlier reads, by a deed that heeds `Asked.seen`.
    memory: Memory = Memory.NONE
    #: The page, by GET, of what the deed acts on: whoever has seen it is likely to ask for the deed next.
    shown_at: re.Pattern[str] | None = None
    #: What the whole way answers that may be asked for here.
    allow: str = "POST"
    content_types: frozenset[str] = JSON
    #: Headers by which it would mean something else.
    other_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A request about which nothing is unusual so far."""

    route: Route
    parts: Mapping[str, str]
    headers: Mapping[str, str]
    is_secure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    content: bytes

    async def send(self, send: Send) -> None:
        """Send it whole."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.content})


#: None: nothing was done. An exception: the deed raised it.
Outcome = Answer | Exception | None


class Direct:
    """Answers plain requests on a few threads that keep their database connections."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = tuple(routes) if tuple(settings.MIDDLEWARE) == KNOWN_MIDDLEWARE else ()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="direct")
        self._free = min(THREADS, settings.DATABASE_POOL["max_size"] // 4)
        self._render = JSONRenderer().render
        self._callers = Callers()
        self._ahead: Future[None] | None = None

    def plain(self, scope: Mapping[str, Any]) -> Plain | None:
        """The request if it may go the short way."""
        if scope["method"] != "POST" or scope["query_string"] or scope.get("root_path"):
            return None
        for route in self._routes:
            if match := route.address.fullmatch(scope["path"]):
                headers = plain_headers(scope["headers"], route)
                if headers is None or not self._free:
                    return None
                is_secure = arrived_securely(scope["scheme"], headers)
                if settings.SECURE_SSL_REDIRECT and not is_secure:
                    return None
                return Plain(route=route, parts=match.groupdict(), headers=headers, is_secure=is_secure)
        return None

    async def outcome(self, plain: Plain, body: bytes) -> Outcome:
        """Do what is asked for, on one of the threads. To be called at once after `plain`."""
        self._free -= 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, copy_context().run, self._outcome, plain, body)
        finally:
            self._free += 1

    def foresee(self, scope: Mapping[str, Any]) -> None:
        """This request was answered: read ahead, on a thread of ours, what the deed on what was shown would rest on.

        One at a time: where many ask, nobody is kept waiting for that.
        """
        if scope["method"] != "GET" or not self._free or (self._ahead is not None and not self._ahead.done()):
            return
        for route in self._routes:
            if route.shown_at is not None and (match := route.shown_at.fullmatch(scope["path"])):
                value = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
                if value.startswith(BEARER):
                    self._ahead = self._threads.submit(
                        self._foresee, route, match.groupdict(), value.removeprefix(BEARER)
                    )

    def _foresee(self, route: Route, parts: Mapping[str, str], value: str) -> None:
        try:
            self._callers.foresee(route.name, value, parts, route.along(parts))
        except Exception:  # nobody waits for it; a connection may have broken while nobody used it
            connection.close()

    def _outcome(self, plain: Plain, body: bytes) -> Outcome:
        try:
            return self._answered(plain, body, plain.route.memory)
        except SeenOtherwise:  # what was remembered is not so, or does not allow it: nothing was done
            return self._answered(plain, body, Memory.RENEW if plain.route.memory is Memory.USE else Memory.NONE)

    def _answered(self, plain: Plain, body: bytes, memory: Memory) -> Outcome:
        began = time.perf_counter()
        try:
            found = self._admitted(plain, memory)
        except Exception:  # a connection may have broken while nobody used it
            connection.close()
            return None
        if found is None:
            return None
        bearer, seen = found
        assert bearer.actor is not None, "nobody else is admitted"
        given = plain.headers.get("x-request-id", "")
        name = given if GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        log_context.about(lambda: facts_of(plain.parts))
        with structlog.contextvars.bound_contextvars(request_id=name), continued(plain.headers):
            try:
                asked = Asked(
                    actor=bearer.actor,
                    parts=plain.parts,
                    headers=plain.headers,
                    body=parse_body(body),
                    along=bearer.along,
                    seen=seen,
                )
                status, shown = plain.route.deed(asked)
                content = self._render(shown)
            except SeenOtherwise:
                raise
            except (BranchlineError, APIException) as error:
                if seen is not None:  # nobody is refused for what was remembered
                    raise SeenOtherwise from error
                return error
            except Exception as error:
                if connection.errors_occurred:
                    connection.close()
                return error
        count("POST", plain.route.name, status, began)
        return Answer(status=status, headers=answer_headers(plain, name, len(content)), content=content)

    def _admitted(self, plain: Plain, memory: Memory) -> tuple[Bearer, Seen | None] | None:
        route = plain.route
        value = plain.headers["authorization"].removeprefix(BEARER)
        return self._callers.admitted(route.name, value, plain.parts, route.along(plain.parts), memory)


def plain_headers(raw: Iterable[tuple[bytes, bytes]], route: Route) -> dict[str, str] | None:
    """The headers of a plain request by token with a short body of JSON; None for any other."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key = name.decode("latin-1")
        if key in headers or "_" in key or key in NOT_PLAIN:
            return None
        if route.other_by is not None and key.startswith(route.other_by):
            return None
        headers[key] = value.decode("latin-1")
    length = headers.get("content-length", "")
    is_plain = (
        headers.get("authorization", "").startswith(BEARER)
        and headers.get("content-type") in route.content_types
        and headers.get("accept", "*/*") in ACCEPTED
        and length.isdecimal()
        and len(length) < 7
        and 0 < int(length) <= LONGEST_BODY
        and validate_host(split_domain_port(headers.get("host", ""))[0], settings.ALLOWED_HOSTS)
    )
    return headers if is_plain else None


def arrived_securely(scheme: str, headers: Mapping[str, str]) -> bool:
    """As HttpRequest.is_secure."""
    if settings.SECURE_PROXY_SSL_HEADER:
        name, secure = settings.SECURE_PROXY_SSL_HEADER
        told = headers.get(name.removeprefix("HTTP_").replace("_", "-").lower())
        if told is not None:
            return bool(told.split(",")[0].strip() == secure)
    return scheme == "https"


def answer_headers(plain: Plain, request_id: str, length: int) -> list[tuple[bytes, bytes]]:
    """As the middleware sets them."""
    headers = {
        "Content-Type": "application/json",
        "Allow": plain.route.allow,
        "X-Frame-Options": settings.X_FRAME_OPTIONS,
        **HEADERS,
    }
    if plain.is_secure and settings.SECURE_HSTS_SECONDS:
        headers["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}"
    headers |= {"Content-Length": str(length), "X-Request-ID": request_id}
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
