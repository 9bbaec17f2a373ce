"""Random drawings with containers in containers, and what must happen in them, read level by level.

A sub-workflow is drawn and read as one more container; `as_published` makes a workflow of its own of it.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from orchestrator.core.document import DEFAULT_PORT
from orchestrator.core.kinds import Kinds
from orchestrator.steps import KINDS
from tests.graphs import ACTED, expected, random_document

NESTED: Kinds = {**KINDS, **ACTED}
CONTAINERS = ("scope", "scope", "for_each", "repeat")
WITH_RUNS = (*CONTAINERS, "sub_workflow", "sub_workflow", "sub_workflow")
LOCK = "bench"
#: What only the reader needs.
NOTES = {"times", "undoes"}


@dataclass(frozen=True, slots=True)
class Style:
    """What a random drawing may have. `undo`: steps have one, and a failed run is undone. `locks`: of scopes.

    `share` of the steps that can be containers are.
    """

    undo: bool = False
    containers: tuple[str, ...] = CONTAINERS
    locks: bool = False
    share: float = 0.35


def random_nested(random: Random, *, depth: int = 3, style: Style | None = None) -> dict[str, Any]:
    """A drawing whose steps may be containers, `depth` deep."""
    style = style or Style()
    document = _level(random, "s", depth, style)
    return {**document, "settings": {"on_failure": "undo"}} if style.undo else document


def _level(random: Random, prefix: str, depth: int, style: Style) -> dict[str, Any]:
    document = random_document(random, 5)
    renamed = {step["key"]: f"{prefix}{place}" for place, step in enumerate(document["steps"])}
    for edge in document["edges"]:
        edge["from"], edge["to"] = renamed[edge["from"]], renamed[edge["to"]]
    for step in list(document["steps"]):
        step["key"] = renamed[step["key"]]
        if depth and step["config"]["drawn"] == [DEFAULT_PORT] and random.random() < style.share:
            _make_container(random, document, step, depth, style)
        elif style.undo and random.random() < 0.6:
            step["undo"] = {"kind": "acted", "config": {"flaky": random.choice((0, 0, 1))}}
    return document


def _make_container(random: Random, document: dict[str, Any], step: dict[str, Any], depth: int, style: Style) -> None:
    key, kind, times = step["key"], random.choice(style.containers), random.randint(1, 4)
    configs = {
        "scope": {"on_failure": random.choice(("fail", "fail", "continue"))},
        # All failures are tolerated: else it would depend on who comes first which items begin at all.
        "for_each": {"items": list(range(times)), "tolerate": {"count": times}},
        "repeat": {"turns": times, "until": {"$": f"turn == {times}"}},
        "sub_workflow": {"workflow": f"c{random.getrandbits(48):012x}", "input": {"$": "input"}},
    }
    step.update(kind=kind, config=configs[kind], times=times if kind in ("for_each", "repeat") else 1)
    step.pop("retry")
    if kind == "scope" and style.locks and random.random() < 0.6:
        step["config"]["lock"] = LOCK
        style = replace(style, locks=False)  # a scope inside would wait for itself
    if kind == "sub_workflow":
        step["undoes"] = style.undo and random.random() < 0.4
        style = replace(style, share=0.8)  # so that some nest
    body = _level(random, f"{key}_", depth - 1, style)
    document["steps"] += [{"parent": key, **inner} for inner in body["steps"]]
    document["edges"] += body["edges"]


def as_drawn(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what only the reader needs."""
    steps = [{name: value for name, value in step.items() if name not in NOTES} for step in document["steps"]]
    return {**document, "steps": steps}


def as_published(document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The drawing that is started, and by their short names those of its sub-workflows, at all depths."""
    steps = {step["key"]: step for step in document["steps"]}
    subs = {key: step for key, step in steps.items() if step["kind"] == "sub_workflow"}

    def owner(key: str) -> str | None:
        parent = steps[key].get("parent")
        return parent if parent is None or parent in subs else owner(parent)

    def own(sub: str | None) -> dict[str, Any]:
        inside = [step for key, step in steps.items() if owner(key) == sub]
        without = [{name: v for name, v in step.items() if name != "parent" or v != sub} for step in inside]
        edges = [edge for edge in document["edges"] if owner(edge["from"]) == sub]
        return as_drawn({**document, "steps": without, "edges": edges})

    children = {}
    for key, step in subs.items():
        settings = {"on_failure": "undo"} if step.get("undoes") else {}
        children[step["config"]["workflow"]] = {**own(key), "settings": settings}
    return own(None), children


@dataclass
class Happened:
    """How often each step ran, failed and could not start because of its branches; how it all ended.

    `undone`: how often each was undone by a sub-workflow that undoes itself when it fails.
    """

    ran: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    blocked: Counter[str] = field(default_factory=Counter)
    state: str = "succeeded"
    undone: Counter[str] = field(default_factory=Counter, compare=False)

    def add(self, other: "Happened", times: int) -> None:
        for name in ("ran", "failed", "blocked", "undone"):
            mine, theirs = getattr(self, name), getattr(other, name)
            mine.update({key: count * times for key, count in theirs.items()})


def nested_expected(document: dict[str, Any], parent: str | None = None) -> Happened:
    """Read one level as a flat drawing, in which a container is a step that fails as its body does."""
    own = [step for step in document["steps"] if step.get("parent") == parent]
    keys = {step["key"] for step in own}
    bodies = {step["key"]: _body_expected(document, step) for step in own if "times" in step}
    flat = [_as_flat(step, bodies.get(step["key"])) for step in own]
    found = expected({"steps": flat, "edges": [edge for edge in document["edges"] if edge["from"] in keys]})
    happened = Happened(Counter(found.ran), Counter(found.failed), Counter(found.blocked_joins), found.state)
    for step in own:
        if step["key"] in bodies and step["key"] in found.ran:
            happened.add(bodies[step["key"]], _times(step, bodies[step["key"]]))
    return happened


def _body_expected(document: dict[str, Any], step: dict[str, Any]) -> Happened:
    body = nested_expected(document, step["key"])
    if step.get("undoes") and body.state == "failed":
        body.undone = undone_expected(document, body)
    return body


def _as_flat(step: dict[str, Any], body: Happened | None) -> dict[str, Any]:
    if body is None:
        return step
    swallowed = step["config"].get("on_failure") == "continue" or "tolerate" in step["config"]
    fails = body.state == "failed" and not swallowed
    return {**step, "config": {"drawn": [DEFAULT_PORT], "ports": [DEFAULT_PORT], "fails": fails}}


def _times(step: dict[str, Any], body: Happened) -> int:
    """How often a body is gone through: a repeat stops at its first failed turn."""
    return 1 if step["kind"] == "repeat" and body.state == "failed" else int(step["times"])


def undone_expected(document: dict[str, Any], happened: Happened) -> Counter[str]:
    """How often each step is undone: as often as it succeeded, if it has an undo; a sub-workflow however it ended."""
    undoable = {step["key"] for step in document["steps"] if "undo" in step}
    subs = {step["key"] for step in document["steps"] if step["kind"] == "sub_workflow"}
    acted = {key: n - happened.failed[key] for key, n in happened.ran.items() if key in undoable}
    return Counter({**acted, **{key: n for key, n in happened.ran.items() if key in subs}}) + Counter()


__all__ = [
    "NESTED",
    "WITH_RUNS",
    "Happened",
    "Style",
    "as_drawn",
    "as_published",
    "nested_expected",
    "random_nested",
    "undone_expected",
]
