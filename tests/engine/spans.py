"""Recorded spans, as tests of tracing compare them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from orchestrator.engine import tracing
from orchestrator.project.spans import make_provider, recorder_of
from tests.engine.house import House
from tests.waiting import wait_until


@contextmanager
def recorded() -> Iterator[InMemorySpanExporter]:
    """Everything recorded meanwhile."""
    exporter = InMemorySpanExporter()
    provider = make_provider(exporter, at_once=True)
    tracing.record_with(recorder_of(provider))
    try:
        yield exporter
    finally:
        tracing.record_with(None)
        provider.shutdown()


def start_under(house: House, version: Any, traceparent: str, **more: Any) -> Any:
    """Start a run as a request with that header would."""
    token = attach(tracing.came_with({"traceparent": traceparent}))
    try:
        return house.start(version, **more)
    finally:
        detach(token)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One recorded span; times in microseconds."""

    trace_id: str
    span_id: str
    parent: str | None
    began: int
    ended: int
    failure: str | None
    attributes: dict[str, Any]

    @classmethod
    def of(cls, span: ReadableSpan) -> Self:
        assert span.context is not None
        return cls(
            trace_id=trace.format_trace_id(span.context.trace_id),
            span_id=trace.format_span_id(span.context.span_id),
            parent=None if span.parent is None else trace.format_span_id(span.parent.span_id),
            began=(span.start_time or 0) // 1_000,
            ended=(span.end_time or 0) // 1_000,
            failure=span.status.description,
            attributes=dict(span.attributes or {}),
        )


def microseconds(at: datetime | None) -> int:
    assert at is not None
    return int(at.timestamp() * 1_000_000)


def by_name(exporter: InMemorySpanExporter) -> dict[str, list[Seen]]:
    found: dict[str, list[Seen]] = {}
    for span in exporter.get_finished_spans():
        found.setdefault(span.name, []).append(Seen.of(span))
    return found


def wait_for_run_span(exporter: InMemorySpanExporter) -> dict[str, list[Seen]]:
    wait_until(lambda: any(name.startswith("run ") for name in by_name(exporter)), 10, "the run's span")
    return by_name(exporter)


def version_node(version: Any, key: str) -> int:
    return [one["key"] for one in version.plan["steps"]].index(key)
