"""Containers in the validator: who may hold whom, who may read what, and which edges may be drawn."""

from typing import Any

import pytest

from orchestrator.core.parse import parse_document
from orchestrator.core.problems import find_problems
from orchestrator.steps import KINDS


def codes(steps: list[dict[str, Any]], *edges: tuple[str, str], output: Any = None) -> list[tuple[str, str | None]]:
    raw: dict[str, Any] = {"format": "branchline/1", "name": "Test", "edges": [{"from": a, "to": b} for a, b in edges]}
    raw["steps"] = [{"name": step["key"], "at": [0, 0], **step} for step in steps]
    if output is not None:
        raw["output"] = {"$": output}
    return [(problem.code, problem.step) for problem in find_problems(parse_document(raw), KINDS)]


def each(key: str = "each", **more: Any) -> dict[str, Any]:
    return {"key": key, "kind": "for_each", "config": {"items": {"$": "[1]"}}, **more}


def again(condition: str, key: str = "again", **more: Any) -> dict[str, Any]:
    return {"key": key, "kind": "repeat", "config": {"until": {"$": condition}, "turns": 3}, **more}


def say(key: str, expression: str = "1", **more: Any) -> dict[str, Any]:
    return {"key": key, "kind": "transform", "config": {"value": {"$": expression}}, **more}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([each(), say("a", "item + index", parent="each")], []),
        ([each()], [("container_empty", "each")]),
        ([again("turn > 2 and last and steps.a"), say("a", "turn", parent="again")], []),
        ([say("a", "item")], [("root_not_available", "a")]),
        ([each(), say("a", "turn", parent="each")], [("root_not_available", "a")]),
        # nested containers give what all of them give
        ([each(), again("item", parent="each"), say("a", "item + turn", parent="again")], []),
        ([say("a"), say("b", parent="a")], [("parent_not_container", "b")]),
        ([say("b", parent="nobody")], [("unknown_parent", "b")]),
        ([each("x", parent="y"), each("y", parent="x")], [("parent_cycle", "x"), ("parent_cycle", "y")]),
        # a step inside reads what comes before its container, not what comes after, and not its container
        ([each(), say("a", "steps.each", parent="each")], [("reference_not_upstream", "a")]),
    ],
)
def test_containers(steps: list[dict[str, Any]], expected: list[tuple[str, str | None]]) -> None:
    assert codes(steps) == expected


def test_what_comes_before_a_container_is_read_inside_it() -> None:
    steps = [say("before"), each(), say("a", "steps.before", parent="each"), say("after", "steps.each")]
    assert codes(steps, ("before", "each"), ("each", "after")) == []
    assert codes(steps, ("each", "after")) == [("reference_not_upstream", "a")]


def test_outside_only_the_container_is_read() -> None:
    steps = [each(), say("a", parent="each"), say("after", "steps.a")]
    assert codes(steps, ("each", "after")) == [("reference_not_upstream", "after")]
    assert codes(steps[:2], output="steps.a") == [("reference_not_upstream", None)]


def test_an_edge_stays_on_its_level() -> None:
    steps = [each(), say("a", parent="each"), say("after")]
    assert codes(steps, ("a", "after")) == [("edge_crosses_border", None)]
    assert codes(steps, ("each", "a"))[0][0] == "edge_crosses_border"


def test_containers_nest_eight_deep() -> None:
    steps = [each("c0"), *(each(f"c{n}", parent=f"c{n - 1}") for n in range(1, 9)), say("a", parent="c8")]
    assert codes(steps) == [("nesting_too_deep", "a")]
