"""Spans of runs, steps and attempts, made after the fact from their times: no span is open while a process may die.

A span's id is computed from what it stands for, so every process knows its parents' ids without asking. Nothing is
recorded until the composition root calls `record_with`; a trace context that came with the start goes on all the same.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Final
from uuid import UUID

from opentelemetry.context import Context, attach
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C: Final = TraceContextTextMapPropagator()
HEADER: Final = "traceparent"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTrace:
    """The trace a run belongs to. `came` is the span that started it, where one did."""

    came: SpanContext | None
    span: SpanContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Where spans go. `sampled` decides on a trace that begins here."""

    tracer: Tracer
    sampled: Callable[[int], bool]


class _Planned(threading.local):
    """The ids that this thread's next span must have; 0: any."""

    trace_id: int = 0
    span_id: int = 0


planned: Final = _Planned()
_recorder: Recorder | None = None


def record_with(recorder: Recorder | None) -> None:
    """Record from now on; None: no longer. The tracer's ids must come from `planned`."""
    global _recorder
    _recorder = recorder


def is_recording() -> bool:
    """Whether spans go anywhere."""
    return _recorder is not None


# --- Contexts -------------------------------------------------------------------------------------------------------


def came_with(headers: Mapping[str, str]) -> Context:
    """The context of a caller who sent W3C headers; an empty one for anything malformed."""
    return _W3C.extract(headers, Context())


def present_context() -> dict[str, str] | None:
    """What this thread or task works under, as W3C headers; None when that is nothing."""
    if not get_current_span().get_span_context().is_valid:
        return None
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier or None


def trace_of(run_id: UUID, trace_context: Mapping[str, str] | None) -> RunTrace | None:
    """The trace of a run that was started under `trace_context`. None: it has none, and nobody records."""
    came = None if trace_context is None else get_current_span(came_with(trace_context)).get_span_context()
    if came is not None and came.is_valid:
        flags, state, trace_id = came.trace_flags, came.trace_state, came.trace_id
    elif _recorder is not None:
        came, state, trace_id = None, None, _number(16, str(run_id))
        flags = TraceFlags(TraceFlags.SAMPLED if _recorder.sampled(trace_id) else TraceFlags.DEFAULT)
    else:
        return None
    span = SpanContext(trace_id, _number(8, str(run_id)), is_remote=True, trace_flags=flags, trace_state=state)
    return RunTrace(came=came, span=span)


def span_below(trace: RunTrace, *name: object) -> SpanContext:
    """The span of that trace that stands for `name`: (run, node, scope, generation), and the attempt."""
    number = _number(8, ":".join(map(str, name)))
    above = trace.span
    return SpanContext(
        above.trace_id, number, is_remote=True, trace_flags=above.trace_flags, trace_state=above.trace_state
    )


def handed_on(trace: RunTrace, *name: object) -> dict[str, str]:
    """W3C headers with which somebody else continues from the span of that name."""
    shown = span_below(trace, *name) if _recorder is not None or trace.came is None else trace.came
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, set_span_in_context(NonRecordingSpan(shown), Context()))
    return carrier


def work_under(trace: RunTrace, span: SpanContext) -> None:
    """Let what this thread or task sends out continue from `span`, or from who started the run where nobody records."""
    shown = span if _recorder is not None or trace.came is None else trace.came
    attach(set_span_in_context(NonRecordingSpan(shown), Context()))


# --- Spans ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Something that has ended. `code` is the code of its failure."""

    name: str
    began: datetime
    ended: datetime
    attributes: Mapping[str, str | int]
    code: str = ""


def step_name(node: int, key: str) -> str:
    """The name of a step's span; an undo, which stands at a node below 0, is told apart from its step."""
    return f"{'step' if node >= 0 else 'undo'} {key}"


def about_step(node: int, scope_id: int, key: str, kind: str) -> dict[str, str | int]:
    """Attributes of a step's and its attempts' spans. A scope is named as the API names it; 0 is the run's own."""
    about: dict[str, str | int] = {"branchline.step.key": key, "branchline.step.kind": kind}
    if scope_id != 0:
        about["branchline.scope"] = str(scope_id)
    if node < 0:
        about["branchline.undo"] = True
    return about


def record(span: SpanContext, parent: SpanContext | None, what: Ended) -> None:
    """Record one span. Nothing when nobody records, or when its trace is not sampled."""
    if _recorder is None or not span.trace_flags.sampled:
        return
    context = Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())
    planned.trace_id, planned.span_id = span.trace_id, span.span_id
    try:
        recorded = _recorder.tracer.start_span(
            what.name, context, attributes=dict(what.attributes), start_time=_nanoseconds(what.began)
        )
    finally:
        planned.trace_id = planned.span_id = 0
    if what.code:
        # Only the code: a message may hold what the run carries.
        recorded.set_status(Status(StatusCode.ERROR, what.code))
    recorded.end(_nanoseconds(max(what.began, what.ended)))


def _number(size: int, text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=size).digest(), "big")


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1_000
