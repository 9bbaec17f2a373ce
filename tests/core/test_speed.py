"""Nothing that an editor can send takes the validator more than a moment, or recursion."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.core.parse import document_as_json, parse_document
from orchestrator.core.problems import find_problems
from tests.core.drawings import choose, edge, raw_document, step
from tests.core.kinds_for_tests import KINDS

STEPS, EDGES = 2_000, 5_000
#: Seconds of this thread's own work (others may use the machine, too): a few times what the slowest takes, and far
#: from what a quadratic slip would.
MOMENT = 4.0


def _line() -> dict[str, Any]:
    steps = [step(f"s{index}") for index in range(STEPS)]
    for index in range(1, STEPS):
        steps[index]["config"] = {"value": {"$": f"steps.s{index - 1}.id + steps.s{index // 2}.x + input.a{index}"}}
    return raw_document(steps) | {"edges": [edge(f"s{index} -> s{index + 1}") for index in range(STEPS - 1)]}


def _circle() -> dict[str, Any]:
    raw = _line()
    raw["edges"].append(edge(f"s{STEPS - 1} -> s0"))
    return raw


def _tangle() -> dict[str, Any]:
    """As many crossing edges as allowed, every step a choice and a quorum."""
    steps = [choose(f"s{index}", "x", "y") | {"join": {"mode": "quorum", "quorum": 2}} for index in range(STEPS)]
    edges = [f"s{index}.{port} -> s{index + 1 + offset}" for index in range(STEPS - 4)
             for offset, port in enumerate(("x", "y"))]  # fmt: skip
    return raw_document(steps) | {"edges": [edge(text) for text in edges[:EDGES]]}


def _many_ways() -> dict[str, Any]:
    """One choice with as many ways as there may be edges, all of them to one quorum."""
    ports = [f"p{index}" for index in range(EDGES)]
    steps = [choose("a", *ports), step("d", join={"mode": "quorum", "quorum": 2})]
    return raw_document(steps) | {"edges": [edge(f"a.{port} -> d") for port in ports]}


def _slips_of_the_pen() -> dict[str, Any]:
    """Every name is almost right, so that every one asks for a guess."""
    steps = [step(f"step_number_{index}", "tranform", config={"a": {"$": f"steps.stp_number_{index}"}})
             for index in range(STEPS)]  # fmt: skip
    return raw_document(steps) | {
        "edges": [edge(f"step_numbre_{index} -> stpe_number_{index}") for index in range(EDGES)]
    }


def _long_expressions() -> dict[str, Any]:
    source = " + ".join(f"input.a{index}.b[0]" for index in range(150))
    steps = [step(f"s{index}", config={"value": {"$": f"{source} + {index}"}}) for index in range(300)]
    return raw_document(steps)


@pytest.mark.parametrize("make", [_line, _circle, _tangle, _many_ways, _slips_of_the_pen, _long_expressions])
def test_the_largest_documents_are_read_and_checked_at_once(make: Callable[[], dict[str, Any]]) -> None:
    raw = make()
    started = time.thread_time()
    document = parse_document(raw)
    found = find_problems(document, KINDS)
    document_as_json(document)
    assert time.thread_time() - started < MOMENT
    assert len(found) <= 201
