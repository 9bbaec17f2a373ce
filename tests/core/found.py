"""What is wrong with a drawing of a few steps, in short."""

from typing import Any

from orchestrator.core.problem import Problem
from orchestrator.core.problems import find_problems
from tests.core.drawings import document, step
from tests.core.kinds_for_tests import KINDS

Steps = list[dict[str, Any]]
FORK = [step("a"), step("b"), step("c"), step("d")]
FORKED = "a -> b, a -> c, b -> d, c -> d"


def value(source: str) -> dict[str, Any]:
    return {"value": {"$": source}}


def problems(steps: Steps, edges: str = "", **fields: Any) -> list[Problem]:
    return find_problems(document(steps, edges, **fields), KINDS)


def codes(steps: Steps, edges: str = "", **fields: Any) -> list[str]:
    return [problem.code for problem in problems(steps, edges, **fields)]


def only(steps: Steps, edges: str = "", **fields: Any) -> Problem:
    found = problems(steps, edges, **fields)
    assert [problem.code for problem in found] == [found[0].code], found
    return found[0]


def applied(raw: dict[str, Any], problem: Problem) -> dict[str, Any]:
    """The document after the offered repair."""
    assert problem.fix is not None
    for operation in problem.fix.patch:
        *parents, last = str(operation["path"]).strip("/").split("/")
        spot: Any = raw
        for name in parents:
            spot = spot[int(name)] if isinstance(spot, list) else spot.setdefault(name, {})
        if operation["op"] == "remove":
            del spot[int(last) if isinstance(spot, list) else last]
        else:
            spot[last] = operation["value"]
    return raw
