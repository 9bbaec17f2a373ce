"""On an overloaded machine any expression runs out of its time: that is no fault of the drawing."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.json_types import Json
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import StepLog
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, make_tools, worker_at_work

AGAIN = {"attempts": 2, "first": "PT0S", "jitter": "none"}


class Overloaded:
    """Evaluates each text, but not at the first time."""

    def __init__(self, real: Sandbox, code: str) -> None:
        self.real, self.code = real, code
        self.tried: set[str] = set()

    def expression(self, source: str, roots: Mapping[str, Json]) -> Json:
        self._delay(source)
        return self.real.expression(source, roots)

    def script(self, source: str, roots: Mapping[str, Json], seconds: float, log: Callable[[str], None]) -> Json:
        self._delay(source)
        return self.real.script(source, roots, seconds, log)

    def _delay(self, source: str) -> None:
        if source not in self.tried:
            self.tried.add(source)
            raise ExpressionFailed("Not now.", code=self.code)


@pytest.mark.parametrize("code", ["expression_timeout", "sandbox_unavailable"])
def test_what_ran_out_of_its_time_is_evaluated_again(house: House, sandbox: Sandbox, code: str) -> None:
    cases: dict[str, Any] = {"mode": "exclusive", "cases": [{"port": "yes", "when": {"$": "steps.a == 2"}}]}
    drawn = document(
        [
            step("a", config={"value": {"$": "1 + 1"}}, retry=AGAIN),
            step("b", "choose", config=cases, retry=AGAIN),
            step("c", "script", config={"code": "3 + 3"}, retry=AGAIN),
        ],
        "a > b",
        "b.yes > c",
        output={"$": "steps.c + 1"},
    )
    with worker_at_work(make_tools(Overloaded(sandbox, code))) as worker, keeper_at_work(worker.poke):  # type: ignore[arg-type]
        run_id = house.start(house.publish(drawn))
        worker.poke()
        ended = house.end_of(run_id)
    assert (ended.state, ended.output) == ("succeeded", 7)
    found = StepLog.objects.filter(run_id=run_id).order_by("entry").values_list("node", "outcome")
    late = "T" if code == "expression_timeout" else "F"  # a script's time is its step's
    assert list(found) == [(0, "F"), (0, "S"), (1, "F"), (1, "S"), (2, late), (2, "S")]
