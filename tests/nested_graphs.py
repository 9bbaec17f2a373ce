"""Random drawings with containers in containers, and what must happen in them, read level by level."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from orchestrator.core.document import DEFAULT_PORT
from orchestrator.core.kinds import Kinds
from orchestrator.steps import KINDS
from tests.graphs import ACTED, expected, random_document

NESTED: Kinds = {**KINDS, **ACTED}
CONTAINERS = ("scope", "scope", "for_each", "repeat")


def random_nested(random: Random, *, depth: int = 3, undo: bool = False) -> dict[str, Any]:
    """A drawing whose steps may be containers. With `undo`, steps may have one, and a failed run is undone."""
    document = _level(random, "s", depth, undo=undo)
    return {**document, "settings": {"on_failure": "undo"}} if undo else document


def _level(random: Random, prefix: str, depth: int, *, undo: bool) -> dict[str, Any]:
    document = random_document(random, 5)
    renamed = {step["key"]: f"{prefix}{place}" for place, step in enumerate(document["steps"])}
    for edge in document["edges"]:
        edge["from"], edge["to"] = renamed[edge["from"]], renamed[edge["to"]]
    for step in list(document["steps"]):
        step["key"] = renamed[step["key"]]
        if depth and step["config"]["drawn"] == [DEFAULT_PORT] and random.random() < 0.35:
            _make_container(random, document, step, depth, undo=undo)
        elif undo and random.random() < 0.6:
            step["undo"] = {"kind": "acted", "config": {"flaky": random.choice((0, 0, 1))}}
    return document


def _make_container(random: Random, document: dict[str, Any], step: dict[str, Any], depth: int, *, undo: bool) -> None:
    key, kind, times = step["key"], random.choice(CONTAINERS), random.randint(1, 4)
    configs = {
        "scope": {"on_failure": random.choice(("fail", "fail", "continue"))},
        # All failures are tolerated: else it would depend on who comes first which items begin at all.
        "for_each": {"items": list(range(times)), "tolerate": {"count": times}},
        "repeat": {"turns": times, "until": {"$": f"turn == {times}"}},
    }
    step.update(kind=kind, config=configs[kind], times=times)
    step.pop("retry")
    body = _level(random, f"{key}_", depth - 1, undo=undo)
    document["steps"] += [{"parent": key, **inner} for inner in body["steps"]]
    document["edges"] += body["edges"]


def as_drawn(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what only the reader needs."""
    steps = [{name: value for name, value in step.items() if name != "times"} for step in document["steps"]]
    return {**document, "steps": steps}


@dataclass
class Happened:
    """How often each step ran, failed and could not start because of its branches; how it all ended."""

    ran: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    blocked: Counter[str] = field(default_factory=Counter)
    state: str = "succeeded"

    def add(self, other: "Happened", times: int) -> None:
        for name in ("ran", "failed", "blocked"):
            mine, theirs = getattr(self, name), getattr(other, name)
            mine.update({key: count * times for key, count in theirs.items()})


def nested_expected(document: dict[str, Any], parent: str | None = None) -> Happened:
    """Read one level as a flat drawing, in which a container is a step that fails as its body does."""
    own = [step for step in document["steps"] if step.get("parent") == parent]
    keys = {step["key"] for step in own}
    bodies = {step["key"]: nested_expected(document, step["key"]) for step in own if "times" in step}
    flat = [_as_flat(step, bodies.get(step["key"])) for step in own]
    found = expected({"steps": flat, "edges": [edge for edge in document["edges"] if edge["from"] in keys]})
    happened = Happened(Counter(found.ran), Counter(found.failed), Counter(found.blocked_joins), found.state)
    for step in own:
        if step["key"] in bodies and step["key"] in found.ran:
            happened.add(bodies[step["key"]], _times(step, bodies[step["key"]]))
    return happened


def _as_flat(step: dict[str, Any], body: Happened | None) -> dict[str, Any]:
    if body is None:
        return step
    fails = body.state == "failed" and step["kind"] != "for_each" and step["config"].get("on_failure") != "continue"
    return {**step, "config": {"drawn": [DEFAULT_PORT], "ports": [DEFAULT_PORT], "fails": fails}}


def _times(step: dict[str, Any], body: Happened) -> int:
    """How often a body is gone through: a repeat stops at its first failed turn."""
    if step["kind"] == "scope" or (step["kind"] == "repeat" and body.state == "failed"):
        return 1
    return int(step["times"])


def undone_expected(document: dict[str, Any], happened: Happened) -> Counter[str]:
    """How often each step is undone: as often as it succeeded, if it has an undo."""
    undoable = {step["key"] for step in document["steps"] if "undo" in step}
    return Counter({key: n - happened.failed[key] for key, n in happened.ran.items() if key in undoable}) + Counter()


__all__ = ["NESTED", "Happened", "as_drawn", "nested_expected", "random_nested", "undone_expected"]
