"""How long an item may be in a worker's hands: the time-outs on its longest way together."""

from typing import Any

import pytest

from orchestrator.core.compile import compile_plan
from orchestrator.core.parse import parse_document
from orchestrator.core.plan_json import plan_as_json, plan_from_json
from orchestrator.engine.items import lane_timeout
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step

CALL = {"function": "a.b"}
CHOICE = {"mode": "exclusive", "cases": [{"port": "yes", "when": {"$": "item"}}]}


def call(key: str, timeout: str) -> dict[str, Any]:
    return step(key, "call", config=CALL, timeout=timeout)


@pytest.mark.parametrize(
    ("inside", "lines", "seconds"),
    [
        ([call("a", "PT5M")], (), 300),
        ([call("a", "PT1M"), call("b", "PT2M")], ("a > b",), 180),
        # The other way is longer, whatever the order in which they are drawn.
        (
            [step("c", "choose", config=CHOICE), call("a", "PT1M"), call("b", "PT2M")],
            ("c.yes > a", "c.otherwise > b"),
            150,
        ),
        (
            [step("c", "choose", config=CHOICE), call("b", "PT2M"), call("a", "PT1M")],
            ("c.yes > a", "c.otherwise > b"),
            150,
        ),
        ([call("a", "PT1M"), call("b", "PT2M")], ("a.error > b",), 180),
        ([call("a", "PT1S")], (), 30),  # what the lane itself does needs some time, too
        ([call("a", "PT5M"), step("d", "delay", config={"for": "P1D"})], ("a > d",), 30),  # it has tokens of its own
    ],
)
def test_the_time_of_a_lane(inside: list[dict[str, Any]], lines: tuple[str, ...], seconds: float) -> None:
    each = step("each", "for_each", config={"items": [1, 2]})
    raw = document([each, *({**one, "parent": "each"} for one in inside)], *lines)
    plan = compile_plan(parse_document(raw), KINDS)
    assert lane_timeout(plan, 0) == seconds
    assert plan_from_json(plan_as_json(plan)) == plan
