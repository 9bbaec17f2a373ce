"""Scopes with a lock: one open in a run at a time, handed on whatever becomes of its holder."""

import itertools
from typing import Any
from uuid import UUID

import pytest

from orchestrator.models import Run, Scope, StepLog, Token
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers
from tests.waiting import wait_until


def section(key: str, lock: str = "bench", *, expression: str = "1", wait: str = "PT0.02S") -> list[dict[str, Any]]:
    inside = {"parent": key}
    return [
        step(key, "scope", config={"lock": lock}),
        step(f"{key}1", config={"value": {"$": expression}}, **inside),
        step(f"{key}2", "delay", config={"for": wait}, **inside),
    ]


def sections(keys: str, **more: Any) -> list[dict[str, Any]]:
    return [one for key in keys for one in section(key, **more)]


def lines(keys: str) -> tuple[str, ...]:
    return tuple(f"{key}1 > {key}2" for key in keys)


def spans(run_id: UUID, keys: str) -> list[tuple[Any, Any]]:
    """From the beginning of the first to the end of the second step of each section, in order of beginning."""
    node = {key: place for place, key in enumerate(Run.objects.get(pk=run_id).version.plan["keys"])}
    rows = {row.node: row for row in StepLog.objects.filter(run_id=run_id, outcome="S")}
    return sorted((rows[node[f"{key}1"]].started_at, rows[node[f"{key}2"]].finished_at) for key in keys)


def test_sections_of_one_lock_never_overlap(house: House, at_work: None) -> None:
    raw = document(sections("abcdef"), *lines("abcdef"))
    run = house.end_of(house.start(house.publish(raw)), 40)
    assert run.state == "succeeded"
    found = spans(run.pk, "abcdef")
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(found))
    assert leftovers(run.pk) == {}


def test_items_of_a_for_each_take_turns(house: House, at_work: None) -> None:
    each = step("each", "for_each", config={"items": list(range(5))})
    inside = [{**one, "parent": one.get("parent", "each")} for one in section("s")]
    run = house.end_of(house.start(house.publish(document([each, *inside], "s1 > s2"))), 40)
    assert run.state == "succeeded"
    assert StepLog.objects.filter(run=run, outcome="S").count() == 5 * 3 + 1


def test_other_locks_and_other_runs_do_not_wait(house: House, at_work: None) -> None:
    version = house.publish(document([*section("a", wait="PT1H"), *section("b", "other", wait="PT1H")], *lines("ab")))
    runs = [house.start(version) for _ in range(2)]
    wait_until(lambda: Scope.objects.filter(run_id__in=runs, state="O").count() == 4, 20, "all four to be open")


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (section("a", expression="1 // 0"), []),  # fails
        ([{**one, **({"timeout": "PT0.3S"} if one["key"] == "a" else {})} for one in section("a", wait="PT1H")], []),
        (
            section("a", wait="PT1H"),
            [step("w", "delay", config={"for": "PT0.3S"}), step("c", "cancel", config={"steps": ["a"]})],
        ),
    ],
    ids=["fails", "times out", "is cancelled"],
)
def test_the_lock_is_handed_on_when_its_holder(
    house: House, at_work: None, first: list[dict[str, Any]], more: list[dict[str, Any]]
) -> None:
    """The second asks while the first holds it: it stands behind in the drawing, and takes the lock when it is free."""
    raw = document([*first, step("s", "delay", config={"for": "PT0.1S"}), *section("b"), *more], *lines("ab"), "s > b")
    if more:
        raw["edges"].append({"from": "w", "to": "c", "port": "out"})
    run = house.end_of(house.start(house.publish(raw)), 40)
    node = run.version.plan["keys"].index("b")
    assert StepLog.objects.filter(run=run, node=node, outcome="S").count() == 1
    assert leftovers(run.pk) == {}


def test_one_that_waits_says_so_and_begins_its_time_with_its_turn(house: House, at_work: None) -> None:
    waiting = [{**one, **({"timeout": "PT30S"} if one["key"] == "b" else {})} for one in section("b")]
    raw = document(
        [*section("a", wait="PT1H"), step("s", "delay", config={"for": "PT0.1S"}), *waiting], *lines("ab"), "s > b"
    )
    run_id = house.start(house.publish(raw))
    mine = Token.objects.filter(run_id=run_id, waiting__kind="lock")
    wait_until(mine.exists, 20, "the second section to wait")
    token = mine.get()
    assert token.waiting is not None
    assert token.waiting["text"] == 'Waiting for its turn at "bench"'
    assert (token.attempt, token.first_started_at) == (0, None)
