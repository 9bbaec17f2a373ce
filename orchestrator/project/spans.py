"""Spans by OpenTelemetry's SDK. Imported only where traces are asked for: the SDK is an extra."""

import os

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision

from orchestrator.engine.tracing import Recorder, planned


class PlannedIds(RandomIdGenerator):
    """The ids the engine plans for its spans; random ones for spans that handlers make."""

    def generate_trace_id(self) -> int:
        return planned.trace_id or super().generate_trace_id()

    def generate_span_id(self) -> int:
        return planned.span_id or super().generate_span_id()

    def is_trace_id_random(self) -> bool:
        return False  # ours are digests


def make_provider(exporter: SpanExporter, *, at_once: bool = False) -> TracerProvider:
    """A provider that exports in batches from a thread, or `at_once`. Sampler and limits come from OTEL_* variables."""
    service = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "branchline"}
    provider = TracerProvider(id_generator=PlannedIds(), resource=Resource.create(service))
    provider.add_span_processor(SimpleSpanProcessor(exporter) if at_once else BatchSpanProcessor(exporter))
    return provider


def recorder_of(provider: TracerProvider) -> Recorder:
    """What the engine records with."""

    def sampled(trace_id: int) -> bool:
        return provider.sampler.should_sample(None, trace_id, "run").decision is Decision.RECORD_AND_SAMPLE

    return Recorder(tracer=provider.get_tracer("branchline"), sampled=sampled)


def offer_to_handlers(provider: TracerProvider) -> None:
    """What handlers record by the API goes the same way, below their attempt, unless somebody has set another."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(provider)
