"""Everything wrong with a document's sense, at once and in document order. Form is the business of `parse`."""

import json
from collections.abc import Iterator, Mapping
from itertools import chain

from orchestrator.core.arrivals import Arrivals
from orchestrator.core.document import MAX_BYTES, MAX_EDGES, MAX_STEPS, SUB_WORKFLOW, Document
from orchestrator.core.document_json import document_as_json
from orchestrator.core.drawing import Drawing
from orchestrator.core.durations import LONGEST, DurationInvalid
from orchestrator.core.fixes import removal, setting
from orchestrator.core.json_walk import first_flaw
from orchestrator.core.kinds import Kinds
from orchestrator.core.problem import Problem
from orchestrator.core.problems_cancel import cancel_problems
from orchestrator.core.problems_edges import cycle_problems, edge_problems
from orchestrator.core.problems_joins import join_problems
from orchestrator.core.problems_references import (
    concurrency_key_problems,
    output_problems,
    reference_problems,
)
from orchestrator.core.problems_regions import region_problems
from orchestrator.core.problems_steps import step_problems
from orchestrator.core.problems_workflows import KnownWorkflows, workflow_problems
from orchestrator.core.schema import schema_problems

MAX_PROBLEMS = 200


def find_problems(document: Document, kinds: Kinds, workflows: KnownWorkflows | None = None) -> list[Problem]:
    """Errors and warnings of a document: the document's own, then each step's, each edge's, the cycles.

    `workflows` are those that its sub-workflow steps name; without them nobody asks whether they exist.
    The first 200 are listed; a last one tells how many more there are. Publishing needs a list without errors.
    """
    too_large = list(_size_problems(document))
    return too_large or _bounded(list(_all(Drawing(document, kinds), workflows)))


def _all(drawing: Drawing, workflows: KnownWorkflows | None) -> Iterator[Problem]:
    yield from _document_problems(drawing)
    seen: set[str] = set()
    arrivals = Arrivals(drawing)
    for index, step in enumerate(drawing.document.steps):
        if step.key in seen:
            yield _duplicate_step(drawing, index)
            continue
        seen.add(step.key)
        yield from step_problems(drawing, index, step)
        yield from join_problems(arrivals, index, step)
        yield from cancel_problems(drawing, index, step)
        yield from reference_problems(drawing, step)
        if workflows is not None:
            yield from workflow_problems(drawing, workflows, step)
    yield from edge_problems(drawing)
    yield from cycle_problems(drawing)


def _bounded(problems: list[Problem]) -> list[Problem]:
    hidden = problems[MAX_PROBLEMS:]
    if not hidden:
        return problems
    # A hidden error must still keep the document from being published.
    is_error = any(problem.severity == "error" for problem in hidden)
    message = f"{len(hidden)} more problems are not listed. Repair some of these first."
    summary = Problem(code="too_many_problems", message=message, severity="error" if is_error else "warning")
    return [*problems[:MAX_PROBLEMS], summary]


def _size_problems(document: Document) -> Iterator[Problem]:
    """Limits that make every later check affordable, and values that no later check could walk."""
    for name, count, most in (("steps", len(document.steps), MAX_STEPS), ("edges", len(document.edges), MAX_EDGES)):
        if count > most:
            message = f"The document has {count} {name}; at most {most} are allowed. Split it into sub-workflows."
            yield Problem(code="graph_too_large", message=message, field=name)
            return
    undo = ((step.key, "undo.config", step.undo.config) for step in document.steps if step.undo)
    configs = chain(((step.key, "config", step.config) for step in document.steps), undo)
    flawed = False
    limit = document.settings.concurrency
    whole = [
        (None, "output", document.output),
        (None, "input", document.input_schema),
        (None, "settings.concurrency.key", limit.key if limit else None),
    ]
    for key, field, value in chain(configs, whole):
        if flaw := first_flaw(value, field):
            flawed = True
            yield Problem(code=flaw.code, message=flaw.message, step=key, field=flaw.path)
    if not flawed and (size := _bytes(document)) > MAX_BYTES:
        message = f"The document has {size:,} bytes; at most {MAX_BYTES:,} are allowed. Split it into sub-workflows."
        yield Problem(code="too_large", message=message)


def _bytes(document: Document) -> int:
    try:
        return len(json.dumps(document_as_json(document), ensure_ascii=False, default=dict).encode())
    except DurationInvalid:
        return 0  # the step's own check names the duration


def _document_problems(drawing: Drawing) -> Iterator[Problem]:
    document = drawing.document
    if not document.steps:
        yield Problem(code="no_steps", message="The workflow has no steps. Draw one from the palette.", field="steps")
    elif not any(not sources for sources in drawing.sources.values()):
        message = "No step can start: an edge leads to every one. Remove an edge, so that one step has none before it."
        yield Problem(code="no_start_step", message=message, field="steps")
    yield from _input_problems(document)
    deadline = document.settings.deadline
    if deadline is not None and not 0 < deadline <= LONGEST:
        message = f"The run's deadline is {deadline:g} seconds. It must be more than zero and less than ten years."
        yield Problem(code="deadline_invalid", message=message, field="settings.deadline")
    yield from _concurrency_problems(drawing)
    can_undo = any(step.undo is not None or step.kind == SUB_WORKFLOW for step in document.steps)
    if document.settings.on_failure == "undo" and document.steps and not can_undo:
        message = "A failed run is to be undone, but no step has an undo. Draw one, or let the run just fail."
        yield Problem(code="nothing_to_undo", message=message, severity="warning", field="settings.on_failure")
    yield from output_problems(drawing)
    yield from _extra_problems(drawing)


def _input_problems(document: Document) -> Iterator[Problem]:
    schema = document.input_schema
    for problem in schema_problems(schema):
        field = f"input.{problem.path}" if problem.path else "input"
        yield Problem(code=problem.code, message=problem.message, field=field)
    if schema and schema.get("type") != "object":
        message = 'The input\'s schema must describe an object. Set its "type" to "object".'
        fix = setting("Describe an object", "/input/type", "object")
        yield Problem(code="schema_invalid", message=message, field="input.type", fix=fix)


def _concurrency_problems(drawing: Drawing) -> Iterator[Problem]:
    if drawing.document.settings.concurrency is not None:
        yield from concurrency_key_problems(drawing)


def _extra_problems(drawing: Drawing) -> Iterator[Problem]:
    """Regions and notes: keys used twice, members that do not exist."""
    document = drawing.document
    regions, notes = [region.key for region in document.regions], [note.key for note in document.notes]
    for name, keys in (("regions", regions), ("notes", notes)):
        for index, key in enumerate(keys):
            if keys.index(key) < index:
                message = f'Two {name} have the key "{key}". Rename one.'
                yield Problem(code="duplicate_key", message=message, field=f"{name}.{index}.key")
    for index, region in enumerate(document.regions):
        for place, key in enumerate(region.steps):
            if key not in drawing.steps:
                message = f'The region {region.title} names the step "{key}", which does not exist. Remove it.'
                fix = removal("Remove it", f"/regions/{index}/steps/{place}")
                yield Problem(code="unknown_step", message=message, field=f"regions.{index}.steps.{place}", fix=fix)
    yield from region_problems(drawing)


def _duplicate_step(drawing: Drawing, index: int) -> Problem:
    key = drawing.document.steps[index].key
    free = _free_key(key, drawing.steps)
    fix = setting(f'Rename it to "{free}"', f"/steps/{index}/key", free)
    message = f'Two steps have the key "{key}". Rename one: edges and expressions must know which one they mean.'
    return Problem(code="duplicate_key", message=message, step=key, field="key", fix=fix)


def _free_key(key: str, taken: Mapping[str, object]) -> str:
    number = 2
    while f"{key[:58]}_{number}" in taken:
        number += 1
    return f"{key[:58]}_{number}"
