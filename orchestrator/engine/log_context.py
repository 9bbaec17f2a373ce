"""What a log line is about: asked only when a line is written, so that a busy process pays nothing for silence."""

from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar, Token
from typing import Any

from opentelemetry.trace import format_trace_id, get_current_span

Facts = Callable[[], Mapping[str, object]]
_facts: ContextVar[Facts | None] = ContextVar("log_facts", default=None)


def about(facts: Facts) -> Token[Facts | None]:
    """From here on, lines of this thread or task carry these facts: run, step, attempt."""
    return _facts.set(facts)


def forget(token: Token[Facts | None]) -> None:
    """Undo one `about`."""
    _facts.reset(token)


def add_facts(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor. What a line says itself stands."""
    facts = _facts.get()
    if facts is not None:
        for name, value in facts().items():
            event.setdefault(name, value)
    span = get_current_span().get_span_context()
    if span.is_valid:
        event.setdefault("trace_id", format_trace_id(span.trace_id))
    return event
