"""What is wrong with a drawing, and what must not even be kept."""

from collections import Counter
from dataclasses import dataclass, replace

from orchestrator.api import (
    KINDS,
    Document,
    Json,
    KnownWorkflows,
    Problem,
    find_problems,
    invalid_document,
    known_workflows,
    named_workflows,
)


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything wrong with one document. Publishing needs one without errors."""

    problems: tuple[Problem, ...]

    @property
    def errors(self) -> int:
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def warnings(self) -> int:
        return len(self.problems) - self.errors

    def as_json(self) -> list[Json]:
        """The form that the API and the canvas read."""
        return [problem.as_json() for problem in self.problems]


def find(document: Document, workspace_id: int, own: str = "") -> Findings:
    """All problems of a document of this workspace. `own` is its workflow's slug, where it has one."""
    known = known_workflows(workspace_id, named_workflows(document))
    return Findings(tuple(find_problems(document, KINDS, _as_published(known, own))))


def _as_published(workflows: KnownWorkflows, own: str) -> KnownWorkflows:
    """A workflow that runs itself has a live version as soon as it can do so."""
    if own not in workflows.named:
        return workflows
    return replace(workflows, named={**workflows.named, own: replace(workflows.named[own], is_live=True)})


def refuse_doubles(document: Document) -> None:
    """Raise DocumentInvalid when two steps share a key or an arrow is there twice: rows are told apart by these."""
    steps = Counter(step.key for step in document.steps)
    edges = Counter((edge.source, edge.port, edge.target) for edge in document.edges)
    problems = [
        Problem(code="duplicate_key", message=f'{count} steps have the key "{key}". Give each its own.', step=key)
        for key, count in steps.items()
        if count > 1
    ]
    problems += [
        Problem(
            code="duplicate_edge",
            message=f'The arrow from "{edge[0]}" ({edge[1]}) to "{edge[2]}" is there {count} times. Keep one.',
            edge=edge,
        )
        for edge, count in edges.items()
        if count > 1
    ]
    if problems:
        raise invalid_document(problems)
