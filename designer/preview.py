"""What an expression can read while it is written, and its value."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from designer.preview_join import branches_at, shown_join
from designer.preview_nested import REPEAT, containers_around, inner_roots, read_by_containers
from designer.queries.drafts import load_draft
from orchestrator.api import (
    Action,
    Actor,
    Document,
    ExpressionFailed,
    Json,
    RanData,
    References,
    Workflow,
    evaluate,
    example_of,
    last_run_data,
    may,
    parse_document,
    reachable,
    references,
    reversed_graph,
    successors,
)

EXAMPLE_TIME = "2026-01-01T00:00:00Z"
WAIT_EVENT = "wait_event"
#: Outputs with a shape of their own, for steps that have not run yet.
EXAMPLES: Mapping[str, Json] = {
    "http": {"status": 200, "headers": {}, "body": None},
    "email": {"message_id": "<1@example.org>"},
    "choose": {"ports": ["otherwise"]},
    "merge": {"branches": {}, "arrived": [], "missing": []},
    "delay": {"at": EXAMPLE_TIME},
    "human_task": {"outcome": "", "values": {}, "by": "", "at": EXAMPLE_TIME, "comment": ""},
    WAIT_EVENT: {"specversion": "1.0", "id": "", "source": "", "type": "", "time": EXAMPLE_TIME, "data": None},
}
#: Of these the part that matters is known only when there was one.
HALF_KNOWN = {WAIT_EVENT}
#: Roots are shown cut: completion needs names and a taste of the values, not megabytes.
MOST_ITEMS = 20
LONGEST_TEXT = 500
MOST_PARTS = 5_000


def roots_for(workflow: Workflow, step: str, actor: Actor, *, undo: bool = False) -> dict[str, Json]:
    """What an expression of `step` may read: examples, overlaid by the last run's data where the actor may see these.

    Without a known step all steps count as run. `undo`: of the step's undo, which reads what the step itself gave, too.
    """
    return _read(workflow, step, actor, None, undo=undo)[0]


def _read(
    workflow: Workflow, step: str, actor: Actor, reads: References | None, *, undo: bool
) -> tuple[dict[str, Json], frozenset[str]]:
    """The roots, and the steps that no run has been through, of whose outputs nothing is known.

    `reads` limits the outputs that are read to those that an expression names.
    """
    document = parse_document(load_draft(workflow).document)
    branches = [] if undo or (reads is not None and "join" not in reads.roots) else branches_at(document, step)
    before = steps_before(document, step)
    if reads is not None and not reads.whole_steps:
        needed = {*reads.steps, *reads.errors, *branches, *read_by_containers(document, step)}
        before = [key for key in before if key in needed]
    kind = {item.key: item.kind for item in document.steps}.get(step)
    own = [step] if kind is not None and (undo or kind == WAIT_EVENT) else []
    join = step if branches else None
    ran = last_run_data(workflow.pk, [*before, *own], join) if may(actor, Action.RUN_READ_DATA) else None
    roots = _examples(workflow, document, before) if ran is None else _overlaid(workflow, document, before, ran)
    shaped = {item.key for item in document.steps if item.kind in EXAMPLES.keys() - HALF_KNOWN}
    known = shaped if ran is None else {*shaped, *ran.steps, *ran.errors}
    unknown = {key for key in (*before, *own) if key not in known}
    if undo and ran is not None and (reads is None or "output" in reads.roots):
        # The step failed last time: what its undo would read then says nothing about the expression.
        unknown |= {key for key in own if key not in shaped and key not in ran.steps}
    found = roots | inner_roots(document, step, roots) | _own_roots(document, own, ran, undo=undo)
    if branches:
        found["join"] = shown_join(branches, ran.branches if ran else {}, roots["steps"])
    return found, frozenset(unknown)


def _own_roots(document: Document, own: Sequence[str], ran: RanData | None, *, undo: bool) -> dict[str, Json]:
    """What the step itself gave: to its undo, with how it failed, and to the condition of a wait as the event."""
    found: dict[str, Json] = {}
    for key in own:
        kinds = {step.key: step.kind for step in document.steps}
        example = EXAMPLES.get(kinds[key])
        if undo:
            found["output"] = ran.steps.get(key, example) if ran else example
            found["error"] = ran.errors.get(key) if ran else None
        else:
            found["event"] = (ran.steps.get(key) if ran else None) or example
    return found


def steps_before(document: Document, step: str) -> list[str]:
    """The keys of the steps that lead to `step` or to a container around it, in document order.

    All steps when there is none of that key.
    """
    keys = [item.key for item in document.steps]
    if step not in keys:
        return keys
    graph = successors(keys, ((edge.source, edge.target) for edge in document.edges))
    repeats = {item.key for item in document.steps if item.kind == REPEAT}
    here = [step, *containers_around(document, step)]
    before = reachable(reversed_graph(graph), here) - set(here)
    before |= {item.key for item in document.steps if item.parent == step and step in repeats}
    return [key for key in keys if key in before]


def _examples(workflow: Workflow, document: Document, before: Collection[str]) -> dict[str, Json]:
    kinds = {step.key: step.kind for step in document.steps}
    return {
        "input": example_of(document.input_schema),
        "steps": {key: EXAMPLES.get(kinds[key]) for key in before},
        "errors": {},
        "run": _example_run(workflow),
    }


def _example_run(workflow: Workflow) -> Json:
    """What the engine tells of a run, for one that is not there."""
    return {
        "id": str(UUID(int=0)),
        "workflow": workflow.slug,
        "version": workflow.live_version.number if workflow.live_version else 1,
        "workspace": workflow.workspace.slug,
        "started_at": EXAMPLE_TIME,
        "correlation_id": "example",
        "business_key": None,
        "trigger": "api",
    }


def _overlaid(workflow: Workflow, document: Document, before: Collection[str], ran: RanData) -> dict[str, Json]:
    roots: dict[str, Any] = _examples(workflow, document, before)
    roots["steps"] |= {key: value for key, value in ran.steps.items() if key in before}
    roots["errors"] = {key: value for key, value in ran.errors.items() if key in before}
    roots["run"] = {**roots["run"], "id": ran.run_id}
    if isinstance(ran.input, Mapping) and isinstance(roots["input"], Mapping):
        # The schema may have got fields since: their examples stay.
        roots["input"] = {**roots["input"], **ran.input}
    return roots


def shown_roots(workflow: Workflow, step: str, actor: Actor, *, undo: bool = False) -> dict[str, Json]:
    """The roots as completion needs them: long lists and texts cut."""
    return {name: cut(value) for name, value in roots_for(workflow, step, actor, undo=undo).items()}


def preview(workflow: Workflow, expression: str, step: str, actor: Actor, *, undo: bool = False) -> dict[str, Json]:
    """{"value": ...} or {"error": {"code", "message"}}. Evaluated in the sandbox on whole values, shown cut.

    {"unknown": text} where it fails on what no run has given yet: that is nobody's mistake.
    """
    unknown: frozenset[str] = frozenset()
    reads = References()
    try:
        reads = references(expression)
        roots, unknown = _read(workflow, step, actor, reads, undo=undo)
        value = evaluate(expression, roots)
    except ExpressionFailed as error:
        own = {step} if reads.roots & {"output", "error", "event"} else set()
        met = {key for path in reads.join for key in path.split(".")[1:2]}
        if missing := sorted(unknown & {*reads.steps, *reads.errors, *own, *met}):
            return {"unknown": f'Shown once a run has been through step "{missing[0]}".'}
        return {"error": {"code": error.error_code, "message": error.message}}
    return {"value": cut(value)}


def cut(value: Json) -> Json:
    """The value with at most 20 items a list, 500 characters a text and 5,000 parts in all."""
    return _cut(value, [MOST_PARTS])


def _cut(value: Json, left: list[int]) -> Json:
    left[0] -= 1
    if left[0] < 0:
        return None
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"
    if isinstance(value, Mapping):
        return {name: _cut(item, left) for name, item in value.items() if left[0] > 0}
    if isinstance(value, Sequence):
        return [_cut(item, left) for item in value[:MOST_ITEMS]]
    return value
