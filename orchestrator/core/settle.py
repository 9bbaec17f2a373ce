"""From a handler's outcome to what the engine does with its token: a decision, nothing else."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from orchestrator.core.advance import Effects, Signal, advance, fail, skip
from orchestrator.core.document import END
from orchestrator.core.json_types import Json
from orchestrator.core.outcome import (
    Awaited,
    Child,
    Done,
    Fail,
    Items,
    Open,
    Outcome,
    Retry,
    StepFault,
    TaskForm,
    TimedOut,
    UndoChild,
    UndoInside,
    Unwanted,
    Wait,
)
from orchestrator.core.plan import Plan, failure_port
from orchestrator.core.retry import next_attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """How far a step's retries have come. `spent` is seconds since its first attempt began, `draw` in [0, 1)."""

    attempt: int
    spent: float
    draw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What `branchline_advance` is told. `logged` is the attempt's letter, None when nothing ended."""

    then: Literal["go", "retry", "wait", "open", "items", "child", "undo_inside", "undo_child"]
    logged: Literal["S", "F", "T", "K"] | None
    ports: tuple[str, ...] | None = None
    output: Json = None
    fault: StepFault | None = None
    effects: Effects = field(default_factory=Effects)
    delay: float | None = None
    until: datetime | None = None
    waiting: dict[str, Json] | None = None
    form: TaskForm | None = None
    awaited: Awaited | None = None
    opens: Open | Items | Child | None = None
    #: "succeeded" or "failed" when this was the run's only way to its end.
    run_ends: Literal["succeeded", "failed"] | None = None
    #: The mark that this step sets by its end: it cancels others.
    mark: int | None = None


def settle(plan: Plan, node: int, outcome: Outcome, tries: Tries) -> Settlement:  # noqa: PLR0911  one per outcome
    """Decide what follows from an outcome; the same arguments always give the same answer."""
    match outcome:
        case Done():
            return _done(plan, node, outcome)
        case Unwanted():
            return _ended(plan, Settlement(then="go", logged="K", ports=(), effects=skip(plan, node)))
        case Wait():
            return _wait(outcome)
        case Open() | Items() | Child():
            return _opens(plan, node, outcome, tries)
        case UndoInside() | UndoChild():
            return _undoes(outcome)
        case Retry(fault, after):
            return _again(plan, node, tries, fault=fault, letter="F", wish=after)
        case TimedOut(fault, False):
            return _again(plan, node, tries, fault=fault, letter="T", wish=None)
        case TimedOut(fault, _):
            return _failed(plan, node, fault, letter="T")
        case Fail(fault, output):
            return _failed(plan, node, fault, letter="F", output=output)


def _done(plan: Plan, node: int, outcome: Done) -> Settlement:
    if node < 0:
        return Settlement(then="go", logged="S", ports=outcome.ports, output=outcome.output)
    effects = advance(plan, node, outcome.ports)
    settled = Settlement(then="go", logged="S", ports=outcome.ports, output=outcome.output, effects=effects)
    return _ended(plan, settled, mark=_mark(plan, node))


def _wait(outcome: Wait) -> Settlement:
    waiting: dict[str, Json] = {"kind": outcome.kind, "text": outcome.text, "memo": outcome.memo}
    return Settlement(
        then="wait",
        logged=None,
        delay=outcome.delay,
        until=outcome.until,
        waiting=waiting,
        form=outcome.form,
        awaited=outcome.awaited,
    )


def _opens(plan: Plan, node: int, outcome: Open | Items | Child, tries: Tries) -> Settlement:
    limit = plan.step(node).limit
    delay = None if limit is None else max(0.0, limit - tries.spent)
    waiting: dict[str, Json] = {"kind": "body", "text": "Waiting for its steps", "memo": None}
    then: Literal["open", "items", "child"] = "open"
    match outcome:
        case Open(text=text, memo=memo):
            waiting |= {"text": text, "memo": memo}
        case Items(items=items):
            then, waiting = "items", {**waiting, "kind": "items", "text": f"Working through {len(items)} items"}
        case Child(workflow=workflow):
            then, waiting = "child", {**waiting, "kind": "child", "text": f'Waiting for a run of "{workflow}"'}
    return Settlement(then=then, logged=None, delay=delay, waiting=waiting, opens=outcome)


def _undoes(outcome: UndoInside | UndoChild) -> Settlement:
    inside = isinstance(outcome, UndoInside)
    what = "what happened inside" if inside else "a run of a sub-workflow"
    waiting: dict[str, Json] = {"kind": "undo", "text": f"Undoing {what}", "memo": None}
    return Settlement(then="undo_inside" if inside else "undo_child", logged=None, waiting=waiting)


def _again(
    plan: Plan, node: int, tries: Tries, *, fault: StepFault, letter: Literal["F", "T"], wish: float | None
) -> Settlement:
    policy = plan.step(node).retry
    delay = next_attempt(policy, tries.attempt, tries.spent, wish, tries.draw)
    if delay is None:
        return _failed(plan, node, fault, letter=letter)
    waiting: dict[str, Json] = {
        "kind": "retry",
        "text": f"Retry {tries.attempt + 1} of {policy.attempts}",
        "memo": None,
    }
    return Settlement(then="retry", logged=letter, fault=fault, delay=delay, waiting=waiting)


def _failed(plan: Plan, node: int, fault: StepFault, *, letter: Literal["F", "T"], output: Json = None) -> Settlement:
    if node < 0:
        return Settlement(then="go", logged=letter, output=output, fault=fault)
    timed_out = letter == "T"
    port = failure_port(plan, node, timed_out=timed_out)
    effects = fail(plan, node, timed_out=timed_out)
    ports = None if port is None else (port,)
    settled = Settlement(then="go", logged=letter, ports=ports, output=output, fault=fault, effects=effects)
    # An `end` of the whole run that fails it still ends the rest; a `cancel` step that fails cancels nothing.
    return _ended(plan, settled, mark=_mark(plan, node) if plan.steps[node].kind == END else None)


def _mark(plan: Plan, node: int) -> int | None:
    mark = plan.marks.get(node)
    return None if mark is None else mark.node


def _ended(plan: Plan, settled: Settlement, mark: int | None = None) -> Settlement:
    """A run with one way to its end needs no gate there: its only signal is the end."""
    if plan.gates[plan.end].size != 1 or settled.effects.starts:
        return settled if mark is None else replace(settled, mark=mark)
    for gate, _slot, signal in settled.effects.signals:
        if gate == plan.end:
            state: Literal["succeeded", "failed"] = "failed" if signal is Signal.FAIL else "succeeded"
            return Settlement(
                then="go",
                logged=settled.logged,
                ports=settled.ports,
                output=settled.output,
                fault=settled.fault,
                run_ends=state,
            )
    return settled if mark is None else replace(settled, mark=mark)


def may_cancel(plan: Plan, settled: Settlement) -> bool:
    """Whether the step itself cancels others, or a join that it signals, at once or by a cascade, may do so."""
    return settled.mark is not None or any(
        gate <= plan.last_cancelling for gate, _slot, _signal in settled.effects.signals
    )
