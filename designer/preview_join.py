"""What an expression reads where branches meet: how each of them ended."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.api import Document, Json


def branches_at(document: Document, step: str) -> list[str]:
    """The keys of the steps that lead to `step` where branches meet there; else none."""
    known = {item.key for item in document.steps} - {step}
    edges = {(edge.source, edge.port): None for edge in document.edges if edge.target == step and edge.source in known}
    return list(dict.fromkeys(source for source, _ in edges)) if len(edges) > 1 else []


def shown_join(branches: Sequence[str], met: Mapping[str, Json], steps: Json) -> Json:
    """A join's result: `met` as a run told it, the other branches as if they had arrived with what `steps` has."""
    assert isinstance(steps, Mapping)  # the root of that name
    found: dict[str, Any] = {
        key: met.get(key) or {"state": "succeeded", "output": steps.get(key), "error": None} for key in branches
    }
    return {
        "branches": found,
        "arrived": [key for key, branch in found.items() if branch["state"] == "succeeded"],
        "missing": [key for key, branch in found.items() if branch["state"] in {"missing", "cancelled"}],
    }
