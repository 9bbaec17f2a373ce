"""Where the failure of a step leads: up from container to container, until something takes it or the run fails."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from orchestrator.core.document import ERROR_PORT, FAILURE_PORTS, FOR_EACH, SCOPE, TIMEOUT_PORT
from orchestrator.core.foregone import is_lenient, tolerates
from orchestrator.core.plan import CLOSED_PORT, Arrow, Plan, PlanGate, failure_port

Certainty = Literal["certain", "possible"]


@dataclass(frozen=True, slots=True)
class GoesOn:
    """Here the run goes on in spite of the failure: from a step by a port, or (without one) behind a join."""

    node: int
    port: str | None
    certainty: Certainty


@dataclass(frozen=True, slots=True)
class Failed:
    """A step whose failure comes to the end of its level. `undone`: the scope around, which undoes that level alone."""

    node: int
    certainty: Certainty
    undone: int | None


@dataclass(frozen=True, slots=True)
class Course:
    """`failed`: the step itself, then the containers around it, as far as the failure comes."""

    failed: tuple[Failed, ...]
    goes_on: tuple[GoesOn, ...]
    run_fails: Certainty | Literal["never"]


def failure_course(plan: Plan, node: int) -> Course:
    """Follow the failure for good of a step."""
    failed: list[Failed] = []
    goes_on: list[GoesOn] = []
    certainty: Certainty = "certain"
    at: int | None = node
    while at is not None:
        found = list(_on_its_level(plan, at, certainty, may_time_out=at == node))
        goes_on += [one for one in found if isinstance(one, GoesOn)]
        reached = [one for one in found if not isinstance(one, GoesOn)]
        if not reached:
            return Course(tuple(failed), tuple(dict.fromkeys(goes_on)), "never")
        certainty = "certain" if "certain" in reached else "possible"
        parent = plan.steps[at].parent
        policy = None if parent is None else _policy(plan, parent)
        failed.append(Failed(at, certainty, parent if policy == "undo" else None))
        if parent is not None and policy in ("continue", "tolerate"):
            goes_on.append(GoesOn(parent, None, certainty if policy == "continue" else "possible"))
            certainty = "possible"
            if policy == "continue":
                return Course(tuple(failed[:-1]), tuple(dict.fromkeys(goes_on)), "never")
        at = parent
    return Course(tuple(failed), tuple(dict.fromkeys(goes_on)), certainty)


def _policy(plan: Plan, container: int) -> str:
    step = plan.steps[container]
    if step.kind == FOR_EACH:
        return "tolerate" if tolerates(step) else "fail"
    return str(step.config.get("on_failure", "fail")) if step.kind == SCOPE else "fail"


def _on_its_level(plan: Plan, node: int, certainty: Certainty, *, may_time_out: bool) -> Iterator[GoesOn | Certainty]:
    """Where the run goes on, and with which certainty the failure comes to the end of the level."""
    if may_time_out and failure_port(plan, node, timed_out=True) == TIMEOUT_PORT:
        yield GoesOn(node, TIMEOUT_PORT, "possible")
        yield from _starved(plan, node)
        certainty = "possible"
    if failure_port(plan, node, timed_out=False) == ERROR_PORT:
        yield GoesOn(node, ERROR_PORT, certainty)
        yield from _starved(plan, node)
    else:
        yield from _spread(plan, _failing(plan, node), certainty)


def _starved(plan: Plan, node: int) -> Iterator[GoesOn | Certainty]:
    """What may fail because the usual ways from this step are skipped: joins that need several branches."""
    seen: set[int] = set()
    work = _failing(plan, node)
    while work:
        target = work.pop().target
        if target < plan.end and target not in seen:
            seen.add(target)
            work += plan.out_arrows.get(target, ())
    for at in sorted(seen & plan.gates.keys()):
        gate = plan.gates[at]
        if gate.mode == "N" and gate.need > 1 and gate.on_branch_failure != "continue":
            if failure_port(plan, at, timed_out=False) is None:
                yield from _spread(plan, _failing(plan, at), "possible")
            else:
                yield GoesOn(at, ERROR_PORT, "possible")


def _spread(plan: Plan, arrows: list[Arrow], certainty: Certainty) -> Iterator[GoesOn | Certainty]:
    """Follow the failure behind these arrows."""
    if plan.marks or plan.last_cancelling >= 0:
        certainty = "possible"  # what is cancelled fails for nothing any more
    work = [(arrow, certainty) for arrow in arrows]
    seen: set[tuple[int, Certainty]] = set()
    while work:
        arrow, certainty = work.pop()
        target = arrow.target
        if (target, certainty) in seen:
            continue
        seen.add((target, certainty))
        if target >= plan.end:
            yield certainty
            continue
        gate = plan.gates.get(target)
        fails = "certain" if gate is None else _join_fails(gate)
        if fails != "certain":
            yield GoesOn(target, None, "possible")
        if fails == "never":
            continue
        certainty = certainty if fails == "certain" else "possible"
        if gate is not None and failure_port(plan, target, timed_out=False) is not None:
            yield GoesOn(target, ERROR_PORT, certainty)
            yield from _starved(plan, target)
        else:
            work += [(next_, certainty) for next_ in _failing(plan, target)]


def _failing(plan: Plan, node: int) -> list[Arrow]:
    arrows = plan.out_arrows.get(node, ())
    return [arrow for arrow in arrows if arrow.port not in FAILURE_PORTS and arrow.port != CLOSED_PORT]


def _join_fails(gate: PlanGate) -> Certainty | Literal["never"]:
    """Whether a join fails because one of its branches did."""
    if gate.on_branch_failure == "continue":
        return "never"
    if is_lenient(gate):
        return "possible"
    return "certain" if gate.mode == "A" or gate.need == gate.size else "possible"
