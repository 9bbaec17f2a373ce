"""What a run, a scope or an item is said to have failed of: never a failure that a join has taken."""

from typing import Any

import pytest

from orchestrator.models import Run
from orchestrator.queries.fsck import breaches
from orchestrator.queries.items import items_of
from tests.engine.drawings import document, step
from tests.engine.house import House, error
from tests.factories import actor_of, make_member

JOINS: dict[str, dict[str, Any]] = {
    "reached quorum": {"mode": "quorum", "quorum": 2},
    "continues": {"on_branch_failure": "continue"},
    "tolerates one": {"tolerate": {"count": 1}},
}
BRANCHES = ("x > j", "y > j", "z > j")


def broken(key: str, expression: str, **more: Any) -> dict[str, Any]:
    """A step whose text names it when it fails."""
    return step(key, config={"value": {"$": f"{expression}['no_{key}']"}}, retry={"attempts": 1}, **more)


def fine(key: str, **more: Any) -> dict[str, Any]:
    return step(key, config={"value": 1}, **more)


def level(join: dict[str, Any], parent: str | None = None) -> list[dict[str, Any]]:
    """x fails and is taken by the join j; last fails behind it."""
    held: dict[str, Any] = {} if parent is None else {"parent": parent}
    meet = step("j", "merge", join=join, **held)
    return [broken("x", "{}", **held), fine("y", **held), fine("z", **held), meet, broken("last", "{}", **held)]


def ended(house: House, raw: dict[str, Any]) -> Run:
    run = house.end_of(house.start(house.publish(raw)))
    assert list(breaches()) == []
    return run


@pytest.mark.parametrize("name", JOINS)
def test_a_run_names_what_ended_it(house: House, at_work: None, name: str) -> None:
    run = ended(house, document(level(JOINS[name]), *BRANCHES, "j > last"))
    assert "no_last" in error(run)["message"]


def test_where_the_run_ends_in_several_places_too(house: House, at_work: None) -> None:
    raw = document([*level(JOINS["continues"]), fine("other")], *BRANCHES, "j > last", "j > other")
    assert "no_last" in error(ended(house, raw))["message"]


def test_behind_the_error_port_of_a_join_as_well(house: House, at_work: None) -> None:
    raw = document(
        [broken("x", "{}"), fine("y"), step("j", "merge"), broken("last", "{}")], "x > j", "y > j", "j.error > last"
    )
    assert "no_last" in error(ended(house, raw))["message"]


@pytest.mark.parametrize("name", JOINS)
def test_a_scope_names_what_ended_it(house: House, at_work: None, name: str) -> None:
    raw = document([step("box", "scope"), *level(JOINS[name], "box")], *BRANCHES, "j > last")
    found = error(ended(house, raw))
    assert "no_last" in found["message"]
    assert found["details"]["step"] == "last"


def test_a_join_that_failed_leads_to_the_branch_that_failed_it(house: House, at_work: None) -> None:
    """x is taken by the first join; bad is not by the second."""
    raw = document(
        [*level(JOINS["continues"])[:-1], broken("bad", "{}"), step("k", "merge")], *BRANCHES, "j > k", "bad > k"
    )
    found = error(ended(house, raw))
    assert "no_bad" in found["message"]


def items(run: Run) -> list[tuple[int, str, str]]:
    page = items_of(actor_of(run.workspace, make_member(run.workspace, "viewer")), run.pk, "each", {})
    return [(item.index, item.state, item.error_message) for item in page.items]


def each(body: list[dict[str, Any]], *edges: str) -> dict[str, Any]:
    return document([step("each", "for_each", config={"items": [0, 1]}), *body], *edges)


@pytest.mark.parametrize("name", JOINS)
def test_an_item_whose_join_took_a_failure_has_succeeded(house: House, at_work: None, name: str) -> None:
    run = ended(house, each(level(JOINS[name], "each")[:-1], *BRANCHES))
    assert items(run) == [(0, "succeeded", ""), (1, "succeeded", "")]


def test_the_first_item_is_the_first_that_failed(house: House, at_work: None) -> None:
    """The first item has a failure that its join takes; the second fails behind it."""
    last = step(
        "last", parent="each", config={"value": {"$": "{}['no_last'] if index == 1 else 1"}}, retry={"attempts": 1}
    )
    run = ended(house, each([*level(JOINS["continues"], "each")[:-1], last], *BRANCHES, "j > last"))
    assert "no_last" in error(run)["message"]
    (bad, of_bad), (good, of_good) = [(index, state) for index, state, _ in items(run)]
    assert (bad, of_bad, good, of_good) == (1, "failed", 0, "succeeded")
    assert "no_last" in items(run)[0][2]


def test_an_item_whose_late_branch_was_cancelled_has_succeeded(house: House, at_work: None) -> None:
    late = step("late", "delay", parent="each", config={"for": "PT1H"})
    meet = step("j", "merge", parent="each", join={"mode": "any", "late": "cancel"})
    run = ended(house, each([fine("y", parent="each"), late, meet], "y > j", "late > j"))
    assert run.state == "succeeded"
    assert items(run) == [(0, "succeeded", ""), (1, "succeeded", "")]
