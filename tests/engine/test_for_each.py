"""For-eaches on real rows: items that branch, wait and fail, and those that are enough."""

from typing import Any

import pytest

from orchestrator.models import Scope, StepLog
from tests.engine.containers import ended, for_each, inside, value
from tests.engine.drawings import document
from tests.engine.house import House, error, output


def test_a_for_each_gives_its_items_in_order(house: House, at_work: None) -> None:
    raw = document([for_each({"$": "list(range(500))"}), inside("each", "a", config=value("item * 2 + index"))])
    assert output(ended(house, raw)) == [3 * number for number in range(500)]


def test_a_for_each_of_nothing_is_nothing(house: House, at_work: None) -> None:
    assert output(ended(house, document([for_each([]), inside("each", "a")]))) == []


def test_items_may_choose_and_have_several_steps(house: House, at_work: None) -> None:
    choose = {"cases": [{"port": "odd", "when": {"$": "item % 2"}}]}
    raw = document(
        [
            for_each({"$": "list(range(40))"}),
            inside("each", "pick", "choose", config=choose),
            inside("each", "a", config=value("item")),
            inside("each", "b", config=value("-item")),
        ],
        "pick.odd > a",
        "pick.otherwise > b",
    )
    found = output(ended(house, raw))
    assert [item["a"] or item["b"] for item in found] == [n if n % 2 else -n for n in range(40)]


@pytest.mark.parametrize("parallel", [1, 3, None])
def test_items_that_branch_or_wait_have_tokens_of_their_own(house: House, at_work: None, parallel: int | None) -> None:
    raw = document(
        [
            for_each({"$": "list(range(7))"}, parallel=parallel),
            inside("each", "a", "delay", config={"for": "PT0.01S"}),
            inside("each", "b", config=value("item")),
            inside("each", "c", config=value("steps.b + 1")),
        ],
        "a > b > c",
        "b > d" if False else "a > b",
    )
    raw["edges"] = raw["edges"][:2]
    assert output(ended(house, raw)) == list(range(1, 8))


def test_a_few_items_may_fail(house: House, at_work: None) -> None:
    raw = document(
        [for_each({"$": "[1, 0, 2]"}, tolerate={"count": 1}), inside("each", "a", config=value("6 // item"))]
    )
    assert output(ended(house, raw)) == [6, None, 3]


def test_one_failed_item_too_many_fails_all(house: House, at_work: None) -> None:
    raw = document(
        [for_each({"$": "[1, 0, 2, 0]"}, tolerate={"percent": 25}), inside("each", "a", config=value("6 // item"))]
    )
    run = ended(house, raw)
    assert error(run)["code"] == "items_failed"
    assert error(run)["details"]["first"] == "expression_failed"


def test_a_failed_item_among_waiting_ones_ends_them(house: House, at_work: None) -> None:
    raw = document(
        [
            for_each({"$": "[0, 1, 2]"}),
            inside("each", "a", config=value("6 // item")),
            inside("each", "b", "delay", config={"for": "PT1H"}),
        ],
        "a > b",
    )
    run = ended(house, raw)
    assert error(run)["code"] == "items_failed"
    assert set(Scope.objects.filter(run=run).values_list("state", flat=True)) == {"C"}


@pytest.mark.parametrize(
    ("enough", "items"),
    [({"count": 2}, "[1, 0.1, 0.2, 1]"), ({"percent": 50}, "[1, 0.1, 0.2, 1]"), ({"percent": 26}, "[1, 0.1, 0.2, 1]")],
)
def test_enough_items_end_a_for_each_and_the_rest_is_cancelled(
    house: House, at_work: None, enough: dict[str, Any], items: str
) -> None:
    delay = inside("each", "a", "delay", config={"for": {"$": "f'PT{item * 3600 if item == 1 else item}S'"}})
    raw = document([for_each({"$": items}, enough=enough), delay])
    found = output(ended(house, raw))
    assert [one is not None for one in found] == [False, True, True, False]


def test_not_every_item_is_begun_when_few_are_enough(house: House, at_work: None) -> None:
    delay = inside("each", "a", "delay", config={"for": "PT0.01S"})
    run = ended(house, document([for_each({"$": "list(range(9))"}, enough={"count": 2}, parallel=1), delay]))
    assert [one is not None for one in output(run)] == [True, True] + [False] * 7
    assert StepLog.objects.filter(run=run, node=1, outcome="S").count() == 2


@pytest.mark.parametrize(
    ("config", "state"),
    [
        ({"enough": {"count": 2}}, "succeeded"),  # two of four may fail
        ({"enough": {"count": 3}}, "failed"),  # three cannot succeed any more
        ({"enough": {"count": 2}, "tolerate": {"count": 1}}, "failed"),
        ({"enough": {"count": 5}}, "failed"),
    ],
)
def test_failures_count_against_what_is_enough(house: House, at_work: None, config: dict[str, Any], state: str) -> None:
    raw = document(
        [
            for_each({"$": "[0, 0, 1, 2]"}, parallel=1, **config),
            inside("each", "w", "delay", config={"for": "PT0.01S"}),
            inside("each", "a", config=value("6 // item")),
        ],
        "w > a",
    )
    run = ended(house, raw)
    assert run.state == state
    if config["enough"]["count"] == 5:
        assert error(run)["code"] == "enough_too_large"
