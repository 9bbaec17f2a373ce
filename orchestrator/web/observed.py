"""Each request: counted, named in its log lines, and taken into the trace of who sent it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from django.http import HttpRequest, HttpResponse
from opentelemetry.context import attach, detach
from opentelemetry.trace import get_current_span
from prometheus_client import Counter, Histogram

from orchestrator.engine import log_context, tracing

Handler = Callable[[HttpRequest], HttpResponse]
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Parts of an address that log lines name.
NAMED: Final = {"workspace": "workspace", "run": "run", "key": "step", "task": "task", "slug": "workflow"}

REQUESTS: Final = Counter("branchline_http_requests", "HTTP requests answered.", ["method", "route", "status"])
SECONDS: Final = Histogram("branchline_http_request_seconds", "From request to answer.", ["route"])


def observed(get_response: Handler) -> Handler:
    """The outermost middleware: it sees every answer."""

    def observing(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        token = log_context.about(lambda: named(request))
        try:
            with continued(request.headers):
                response = get_response(request)
        finally:
            log_context.forget(token)
        count(request.method or "", route_of(request), response.status_code, began)
        return response

    return observing


def count(method: str, route: str, status: int, began: float) -> None:
    """Count an answered request; `began` by `time.perf_counter`."""
    REQUESTS.labels(method if method in METHODS else "other", route, status).inc()
    SECONDS.labels(route).observe(time.perf_counter() - began)


def route_of(request: HttpRequest) -> str:
    """The route's name, never the address: addresses are without number. Files and unknown addresses have none."""
    match = request.resolver_match
    return match.view_name if match is not None and match.view_name else "none"


def named(request: HttpRequest) -> dict[str, object]:
    """What the address says the request is about."""
    match = request.resolver_match
    return {} if match is None else facts_of(match.kwargs)


def facts_of(parts: Mapping[str, object]) -> dict[str, object]:
    """What the parts of an address say the request is about."""
    return {name: str(parts[part]) for part, name in NAMED.items() if part in parts}


@contextmanager
def continued(headers: Mapping[str, str]) -> Iterator[None]:
    """Inside, the present span is the sender's, unless an instrumentation around us has made one of its own."""
    if tracing.HEADER not in headers or get_current_span().get_span_context().is_valid:
        yield
        return
    token = attach(tracing.came_with({name.lower(): value for name, value in headers.items()}))
    try:
        yield
    finally:
        detach(token)
