"""What a worker tells of an attempt: its log context, its counts and its spans. Single calls for `worker`."""

import time
from collections.abc import Callable
from datetime import timedelta

import structlog
from opentelemetry.trace import SpanContext

from orchestrator.core.settle import Settlement
from orchestrator.engine import log_context, metrics, tracing
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.lease import Lease
from orchestrator.engine.plans import VersionFacts

log = structlog.get_logger(__name__)
#: An attempt, how it ended, and the seconds that it took.
End = tuple[Lease, Settlement, float]
OUTCOMES = {"S": "succeeded", "F": "failed", "T": "timed_out", "K": "cancelled"}


def at_work(lease: Lease, key: str) -> None:
    """This thread or task works on that attempt: its lines name it, what it sends out continues its trace."""
    log_context.about(lambda: {"run": str(lease.run.run_id), "step": key, "attempt": lease.attempt})
    if lease.run.trace is not None:
        tracing.work_under(lease.run.trace, _attempt_span(lease.run.trace, lease))


def key_of(facts: VersionFacts, lease: Lease) -> str:
    """The key of the step that the lease stands at; the run's own last node has none."""
    return "" if lease.node == facts.plan.end else facts.plan.step(lease.node).key


def in_lane(lease_now: Callable[[], Lease], facts: VersionFacts) -> None:
    """This thread works on items, one attempt after another: lines name the one that `lease_now` gives."""

    def about() -> dict[str, object]:
        lease = lease_now()
        return {"run": str(lease.run.run_id), "step": key_of(facts, lease), "attempt": lease.attempt}

    log_context.about(about)


def attempt_ended(attempt: Attempt, facts: VersionFacts, settled: Settlement | None, status: str) -> None:
    """An attempt's end is committed, with that answer of `branchline_advance`. Never raises: the step has ended."""
    if settled is not None and settled.logged is not None and status != "fenced":
        _tell(facts, [(attempt.lease, settled, time.monotonic() - attempt.began)])


def lane_stored(facts: VersionFacts, ends: list[End]) -> None:
    """The same, of all that a lane has stored in one call."""
    _tell(facts, ends)


def _tell(facts: VersionFacts, ends: list[End]) -> None:
    try:
        _count(facts, ends)
        if tracing.is_recording():
            for lease, settled, spent in ends:
                # What was cancelled before it began is told like all that is cancelled: from the rows, by the keeper.
                if lease.run.trace is not None and settled.logged != "K":
                    _record(lease.run.trace, lease, facts, settled, spent)
    except Exception as error:
        log.warning("an attempt's end could not be counted or traced", error=repr(error)[:200])


def _count(facts: VersionFacts, ends: list[End]) -> None:
    for lease, settled, spent in ends:
        metrics.attempt_ended(facts.plan.step(lease.node).kind, OUTCOMES[settled.logged or ""], spent)
        if lease.node < 0 and settled.then == "go":
            metrics.UNDO_ITEMS.labels("undone" if settled.fault is None else "stuck").inc()


def _record(trace: tracing.RunTrace, lease: Lease, facts: VersionFacts, settled: Settlement, spent: float) -> None:
    step = facts.plan.step(lease.node)
    ended = lease.started_at + timedelta(seconds=spent)
    code = "" if settled.fault is None else settled.fault.code
    attributes: dict[str, str | int] = {
        "branchline.run.id": str(lease.run.run_id),
        "branchline.workflow": facts.workflow,
        "branchline.workspace": facts.workspace,
        **tracing.about_step(lease.node, lease.scope_id, step.key, step.kind),
    }
    above = _step_span(trace, lease)
    what = tracing.Ended(
        name=f"attempt {step.key}",
        # A wait belongs to its attempt, as the log says it.
        began=lease.taken_at,
        ended=ended,
        attributes={**attributes, "branchline.attempt": lease.attempt, "branchline.queue": lease.queue},
        code=code,
    )
    tracing.record(_attempt_span(trace, lease), above, what)
    if settled.then == "go":
        attributes["branchline.attempts"] = lease.attempt
        name, began = tracing.step_name(lease.node, step.key), lease.first_started_at
        what = tracing.Ended(name=name, began=began, ended=ended, attributes=attributes, code=code)
        tracing.record(above, trace.span, what)


def _step_span(trace: tracing.RunTrace, lease: Lease) -> SpanContext:
    return tracing.span_below(trace, lease.run.run_id, lease.node, lease.scope_id, lease.generation)


def _attempt_span(trace: tracing.RunTrace, lease: Lease) -> SpanContext:
    key = (lease.run.run_id, lease.node, lease.scope_id, lease.generation, lease.attempt)
    return tracing.span_below(trace, *key)
