"""A config -> what goes over the wire."""

import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from orchestrator.core.errors import BranchlineError
from orchestrator.core.json_types import Json
from orchestrator.steps.http.config import HttpConfig

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
IDEMPOTENCY_HEADER = "Idempotency-Key"  #: draft-ietf-httpapi-idempotency-key-header
_TRACE = TraceContextTextMapPropagator()
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8000}")
# They belong to the connection; setting them is how requests are smuggled.
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"})
_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded", "text": "text/plain; charset=utf-8"}


class HeaderRefused(BranchlineError):
    """A header that cannot be sent."""

    code = "http_header"


class BodyRefused(BranchlineError):
    """A body that cannot be sent in the chosen form."""

    code = "http_body"


def full_url(config: HttpConfig) -> str:
    """The URL with the query added. Raises `ValueError` when it is no URL at all."""
    pairs = list(_pairs(config.query))
    if not pairs:
        return config.url
    parts = urlsplit(config.url)
    query = "&".join(filter(None, [parts.query, urlencode(pairs)]))
    return urlunsplit(parts._replace(query=query))


def headers_of(config: HttpConfig, idempotency_key: str) -> dict[str, str]:
    """The headers to send. Raises `HeaderRefused`."""
    headers = {name: str(value).strip(" \t") for name, value in config.headers.items()}
    for name, value in headers.items():
        _check(name, value)
    known = {name.lower() for name in headers}
    if config.body is not None and "content-type" not in known:
        headers["Content-Type"] = _TYPES[config.body_as]
    if config.method not in SAFE_METHODS and IDEMPOTENCY_HEADER.lower() not in known:
        headers[IDEMPOTENCY_HEADER] = idempotency_key
    if known.isdisjoint(_TRACE.fields):
        _TRACE.inject(headers)  # the attempt's span, where the run has a trace
    return headers


def content_of(config: HttpConfig) -> bytes | None:
    """The body's bytes. Raises `BodyRefused`."""
    if config.body is None:
        return None
    if config.body_as == "json":
        return json.dumps(config.body, ensure_ascii=False, allow_nan=False).encode()
    if config.body_as == "form":
        if not isinstance(config.body, Mapping):
            raise BodyRefused("A form body must be an object of names and values.")
        return urlencode(list(_pairs(config.body))).encode()
    if not isinstance(config.body, str):
        raise BodyRefused("A text body must be text. Turn the value into text by an expression.")
    return config.body.encode()


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise HeaderRefused(f"{name[:60]!r} is not a header name.")
    if name.lower() in _OURS:
        raise HeaderRefused(f"The header {name} is set by the connection. Remove it.")
    if not _VALUE.fullmatch(value):
        raise HeaderRefused(f"The value of header {name} holds a line break or another character no header can hold.")


def _pairs(values: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if item is not None:
                yield name, _spelled(item)


def _spelled(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
