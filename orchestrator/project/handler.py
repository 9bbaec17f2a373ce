"""Django's ASGI handler with one change of threads per request, on threads that stay.

Django's own starts a thread per request and changes to it four times (two signals, the chain, the closing); all of our
pages and API are plain functions. Measured: a third of the cost of a small answer.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from http import HTTPStatus
from io import BytesIO
from typing import IO, Any

from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.db import close_old_connections
from django.http import HttpResponseBase, StreamingHttpResponse
from django.urls import set_script_prefix

from orchestrator.project.direct import Answer, Direct
from orchestrator.rest.views import RAISED

#: Requests at work at a time; others queue. Those that wait for a run's end (`?wait=`, designer.waiting) hold one of
#: these threads, but no database connection.
THREADS = 128

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


async def read_short(receive: Receive) -> IO[bytes]:
    """A body of which is known that it is short. Raises RequestAborted."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestAborted
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return BytesIO(b"".join(parts))


class Pages(ASGIHandler):
    """Serves one HTTP request per call."""

    def __init__(self, direct: Direct | None = None) -> None:
        BaseHandler.__init__(self)
        self._direct = direct
        self.load_middleware(is_async=False)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="request")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        plain = self._direct.plain(scope) if self._direct is not None else None
        try:
            body = await (self.read_body(receive) if plain is None else read_short(receive))
        except RequestAborted:
            return
        if plain is not None and self._direct is not None:
            outcome = await self._direct.outcome(plain, body.read())
            if isinstance(outcome, Answer):
                await outcome.send(send)
                return
            body.seek(0)
            scope[RAISED] = outcome
        context = copy_context()
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(self._threads, context.run, self._respond, scope, body)
        if response.streaming:
            try:
                await self.send_response(response, send)
            finally:
                await loop.run_in_executor(self._threads, response.close)
        else:
            await self.send_response(response, send)
            if self._direct is not None and response.status_code == HTTPStatus.OK:
                self._direct.foresee(scope)
        body.close()

    def _respond(self, scope: MutableMapping[str, Any], body: "IO[bytes]") -> HttpResponseBase:
        """The whole request on one thread. Its database connection goes back to the pool before it ends."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, body)
        response = refusal if request is None else self.get_response(request)
        assert response is not None, "without a request there is its refusal"
        response._handler_class = self.__class__  # type: ignore[attr-defined]  # the signal's sender
        if isinstance(response, StreamingHttpResponse):
            if not response.is_async:
                response.streaming_content = self._parts(response.streaming_content)  # type: ignore[arg-type]
            close_old_connections()
        else:
            response.close()  # sends request_finished; what it holds can still be sent
        return response

    async def _parts(self, content: Iterator[bytes]) -> AsyncIterator[bytes]:
        """A file, read part by part while it is sent: perhaps slowly, and from another thread each time."""
        loop = asyncio.get_running_loop()
        while (part := await loop.run_in_executor(self._threads, _next, content)) is not None:
            yield part


def _next(content: Iterator[bytes]) -> bytes | None:
    try:
        return next(content, None)
    finally:
        close_old_connections()
