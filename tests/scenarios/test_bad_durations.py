"""No field takes a duration or a moment that is negative, absurd or none: neither drawn nor computed.

The fields of step kinds are found by how the inspector shows them, so a new one is among them.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.core.durations import LONGEST
from orchestrator.core.errors import BranchlineError, ConfigInvalid
from orchestrator.core.json_types import Json
from orchestrator.core.outcome import Fail
from orchestrator.core.parse import parse_document
from orchestrator.core.problems import find_problems
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step
from tests.steps.context import NOW, Context

#: What the fields of a kind need beside a duration.
BESIDE: dict[str, dict[str, Json]] = {"wait_event": {"type": "order.paid"}, "human_task": {"title": "Decide"}}


def fields_of(schema: Any) -> list[str]:
    return [name for name, one in schema["properties"].items() if one.get("x-ui", {}).get("widget") == "duration"]


OF_KINDS = [(kind, field) for kind, one in KINDS.items() for field in fields_of(one.schema())]
Draw = Callable[[Json], dict[str, Any]]


def of_kind(kind: str, field: str) -> Draw:
    return lambda value: document([step("a", kind, config={**BESIDE.get(kind, {}), field: value})])


def of_retry(name: str) -> Draw:
    return lambda value: document([step("a", retry={name: value})])


DRAWN: dict[str, Draw] = {
    "a step's time-out": lambda value: document([step("a", timeout=value)]),
    "a join's deadline": lambda value: document(
        [step("a"), step("b"), step("c", join={"mode": "any", "deadline": value})], "a > c", "b > c"
    ),
    "a run's deadline": lambda value: document([step("a")], settings={"deadline": value}),
    **{f"a retry's {name}": of_retry(name) for name in ("first", "cap", "budget")},
    **{f"{kind}.{field}": of_kind(kind, field) for kind, field in OF_KINDS},
}
ABSURD: list[tuple[Json, str]] = [
    ("-PT1S", "duration_negative"),
    ("P3661D", "duration_too_long"),
    (f"PT{10**30}S", "duration_too_long"),
    ("P1Y", "duration_calendar"),
    ("soon", "duration_invalid"),
    ("", "duration_invalid"),
    (f"P{'9' * 100_000}D", "duration_invalid"),
]
WAY_OUT = re.compile(r"Choose|Write|Use |zero or more|must be a duration|must be an ISO 8601 duration")


def problems_of(raw: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return [dict(problem.as_json()) for problem in find_problems(parse_document(raw), KINDS)]
    except BranchlineError as refused:
        listed: Any = refused.details["problems"]
        return list(listed)


@pytest.mark.parametrize(("value", "code"), [*ABSURD, (5, None), ([], None), (True, None)])
@pytest.mark.parametrize("draw", DRAWN.values(), ids=list(DRAWN))
def test_it_is_refused_where_it_is_drawn(draw: Draw, value: Json, code: str | None) -> None:
    found = [one for one in problems_of(draw(value)) if one["severity"] == "error"]
    assert [one["code"] in ({code} if code else {"duration_invalid", "wrong_type"}) for one in found] == [True]
    assert WAY_OUT.search(found[0]["message"])
    assert len(found[0]["message"]) < 300


@pytest.mark.parametrize("draw", DRAWN.values(), ids=list(DRAWN))
def test_a_sound_one_is_taken(draw: Draw) -> None:
    assert [one for one in problems_of(draw("P3660D")) if one["severity"] == "error"] == []


@pytest.mark.parametrize(("value", "code"), ABSURD)
@pytest.mark.parametrize(("kind", "field"), OF_KINDS)
def test_it_is_refused_where_an_expression_gives_it(kind: str, field: str, value: Json, code: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        KINDS[kind].build({**BESIDE.get(kind, {}), field: value})
    assert refused.value.error_code == code
    assert WAY_OUT.search(refused.value.message)


#: Where no time at all has no meaning, and what refuses it there. Everywhere else it has one.
NO_TIME = {
    "a step's time-out": "timeout_invalid",
    "a join's deadline": "deadline_invalid",
    "a run's deadline": "deadline_invalid",
    "human_task.due": "deadline_invalid",
}


@pytest.mark.parametrize("value", ["PT0S", "P0D", "PT0.0S"])
@pytest.mark.parametrize("draw", DRAWN)
def test_zero_is_refused_where_it_means_nothing(draw: str, value: str) -> None:
    found = [one for one in problems_of(DRAWN[draw](value)) if one["severity"] == "error"]
    assert [one["code"] for one in found] == ([NO_TIME[draw]] if draw in NO_TIME else [])
    assert all(re.search("Raise it|Set more than zero|must be more than zero", one["message"]) for one in found)


def test_a_due_time_of_zero_is_refused_where_an_expression_gives_it() -> None:
    with pytest.raises(ConfigInvalid) as refused:
        KINDS["human_task"].build({"title": "Decide", "due": "PT0S"})
    assert refused.value.error_code == "deadline_invalid"
    assert "Set more than zero, or none" in refused.value.message


def test_the_fields_are_found() -> None:
    assert OF_KINDS == [
        ("delay", "for"),
        ("wait_event", "deadline"),
        ("wait_event", "look_back"),
        ("human_task", "due"),
    ]


def delayed(until: str) -> dict[str, Any]:
    return document([step("a", "delay", config={"until": until})])


@pytest.mark.parametrize("until", ["2999-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"])
def test_a_moment_of_another_century_is_refused_where_it_is_drawn_as_where_it_is_reached(until: str) -> None:
    (found,) = problems_of(delayed(until))
    assert (found["code"], found["field"], found["severity"]) == ("duration_too_long", "config.until", "error")
    kind = KINDS["delay"]
    reached = kind.run(kind.build({"until": until}), Context())
    assert isinstance(reached, Fail)
    assert (found["code"], found["message"]) == (reached.fault.code, f"until: {reached.fault.message}")
    assert "Choose an earlier moment" in found["message"]


def test_moments_within_ten_years_are_taken_and_those_passed_as_well() -> None:
    nearly = datetime.now(UTC) + timedelta(seconds=LONGEST - 60)
    for moment in (nearly, datetime.now(UTC), NOW, datetime(1970, 1, 1, tzinfo=UTC)):
        assert problems_of(delayed(moment.isoformat())) == []
