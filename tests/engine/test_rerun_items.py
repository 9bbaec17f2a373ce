"""Re-run from a step inside an item of a for-each: the other items stay as they ended."""

from threading import Barrier

import pytest

from orchestrator.models import Run, Scope, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.repeat_preview import preview_rerun
from orchestrator.services.skip import skip_step
from tests.engine.acts import (
    HOUR,
    ITEM,
    Acts,
    acts,
    busy,
    ended,
    failed_together,
    for_each,
    node_of,
    places,
    rerun,
    started,
    told,
    waits_in,
)
from tests.engine.drawings import document, step
from tests.engine.house import House, error, output
from tests.engine.switched import again
from tests.waiting import wait_until

__all__ = ["acts", "busy"]


@pytest.mark.parametrize("slow", [False, True])
def test_one_item_is_done_again_from_the_step_and_the_others_stay(
    house: House, busy: None, acts: Acts, slow: bool
) -> None:
    run_id = started(house, for_each(slow=slow))
    assert ended(house, run_id, "succeeded").output == "last.1"
    second = places(run_id, "b")[1]
    rerun(house, run_id, "b", second)
    run = ended(house, run_id, "succeeded")
    assert run.output == "last.2"
    assert run.generation == 1
    assert [acts.count("a", item) for item in range(3)] == [1, 1, 1]
    assert [acts.count("b", item) for item in range(3)] == [1, 2, 1]
    assert [acts.count("c", item) for item in range(3)] == [1, 2, 1]
    assert acts.count("first") == 1
    each = StepLog.objects.filter(run_id=run_id, node=node_of(run_id, "each"), scope_id=0, outcome="S")
    assert list(each.order_by("generation").values_list("generation", "output")) == [
        (0, ["c0.1", "c1.1", "c2.1"]),
        (1, ["c0.1", "c1.2", "c2.1"]),
    ]
    block = Scope.objects.get(run_id=run_id)
    assert (block.ok, block.fail, block.next, block.state, block.generation) == (3, 0, 3, "C", 1)
    assert [key.rsplit(":", 1)[1] for key in acts.keys("b")].count("1") == 1
    assert list(breaches(everything=True)) == []


def test_the_same_item_again_and_another_one_after_it(house: House, busy: None, acts: Acts) -> None:
    run_id = started(house, for_each())
    ended(house, run_id, "succeeded")
    for scope in (places(run_id, "c")[0], places(run_id, "c")[0], places(run_id, "c")[2]):
        rerun(house, run_id, "c", scope)
        ended(house, run_id, "succeeded")
    assert [acts.count("c", item) for item in range(3)] == [3, 1, 2]
    assert acts.count("b", 0) == 1
    assert output(Run.objects.get(pk=run_id)) == "last.4"
    assert Scope.objects.filter(run_id=run_id).count() == 1


def test_a_failed_item_again_while_the_others_stay_failed_or_done(house: House, busy: None, acts: Acts) -> None:
    """Two failed and are tolerated; one is done again and ends well: the other is still failed, and is not tried."""
    acts.failing = {("b", 1), ("b", 3)}
    run_id = started(house, for_each(5, tolerate={"count": 2}))
    ended(house, run_id, "succeeded")
    acts.failing = set()
    rerun(house, run_id, "a", places(run_id, "a")[1])
    ended(house, run_id, "succeeded")
    assert [acts.count("a", item) for item in range(5)] == [1, 2, 1, 1, 1]
    assert [acts.count("b", item) for item in range(5)] == [1, 2, 1, 1, 1]
    each = StepLog.objects.filter(run_id=run_id, node=node_of(run_id, "each"), scope_id=0).latest("generation")
    assert each.output == ["c0.1", "c1.1", "c2.1", None, "c4.1"]
    block = Scope.objects.get(run_id=run_id)
    assert (block.ok, block.fail) == (4, 1)


def test_an_item_that_fails_this_time_gives_nothing(house: House, busy: None, acts: Acts) -> None:
    run_id = started(house, for_each(tolerate={"count": 1}))
    ended(house, run_id, "succeeded")
    acts.failing = {("c", 2)}
    rerun(house, run_id, "b", places(run_id, "b")[2])
    ended(house, run_id, "succeeded")
    each = StepLog.objects.filter(run_id=run_id, node=node_of(run_id, "each"), scope_id=0).latest("generation")
    assert each.output == ["c0.1", "c1.1", None]
    assert (Scope.objects.get(run_id=run_id).ok, Scope.objects.get(run_id=run_id).fail) == (2, 1)


def test_one_failure_more_than_is_tolerated_fails_the_run_and_a_retry_goes_on(
    house: House, busy: None, acts: Acts
) -> None:
    run_id = started(house, for_each())
    ended(house, run_id, "succeeded")
    acts.failing = {("c", 2)}
    rerun(house, run_id, "b", places(run_id, "b")[2])
    assert error(ended(house, run_id, "failed"))["details"]["item"] == 2
    acts.failing = set()
    again(house, lambda: retry_run(run_id, house.actor))
    assert output(ended(house, run_id, "succeeded")) == "last.2"
    assert [acts.count("b", item) for item in range(3)] == [1, 1, 2]
    assert [acts.count("c", item) for item in range(3)] == [1, 1, 3]
    assert len(set(acts.keys("c")[-2:])) == 1, "a retry keeps the key of the generation"


def test_what_failed_elsewhere_fails_the_for_each_again_once_the_item_is_done(
    house: House, busy: None, acts: Acts
) -> None:
    """None is tolerated and two failed: what was cut short, or had not begun, does not begin before both are mended."""
    acts.failing, acts.together = {("b", 0), ("b", 1)}, Barrier(2)
    run_id = failed_together(house, for_each(40, parallel=2))
    acts.failing = set()
    before = len(acts.seen)
    for number, scope in enumerate(places(run_id, "b")):
        rerun(house, run_id, "b", scope)
        ended(house, run_id, ("failed", "succeeded")[number])
        assert number or [one[:2] for one in acts.seen[before:]] == [("b", 0), ("c", 0)]
    assert {acts.count("c", item) for item in range(40)} == {1}


def test_as_many_at_once_as_the_for_each_says(house: House, busy: None, acts: Acts) -> None:
    """The item that is done again goes first; what had not begun takes its turn after it."""
    acts.failing = {("b", 1)}
    run_id = started(house, for_each(4, parallel=1))
    ended(house, run_id, "failed")
    acts.failing = set()
    rerun(house, run_id, "a", places(run_id, "a")[1])
    ended(house, run_id, "succeeded")
    assert [one[:2] for one in acts.seen if one[0] == "a"] == [("a", 0), ("a", 1), ("a", 1), ("a", 2), ("a", 3)]
    assert [acts.count("c", item) for item in range(4)] == [1, 1, 1, 1]


def test_enough_is_asked_anew_and_nothing_more_begins_than_it_needs(house: House, busy: None, acts: Acts) -> None:
    run_id = started(house, for_each(4, parallel=1, enough={"count": 2}))
    ended(house, run_id, "succeeded")
    assert [acts.count("c", item) for item in range(4)] == [1, 1, 0, 0]
    rerun(house, run_id, "b", places(run_id, "b")[0])
    ended(house, run_id, "succeeded")
    assert [acts.count("c", item) for item in range(4)] == [2, 1, 0, 0]
    assert [acts.count("a", item) for item in range(4)] == [1, 1, 0, 0]


def test_in_a_cancelled_run_the_other_items_go_on_where_they_were_cut(house: House, busy: None, acts: Acts) -> None:
    steps = [
        step("each", "for_each", config={"items": [0, 1, 2]}),
        told("a", parent="each", **ITEM),
        step("w", "delay", parent="each", config={"for": "PT1H"}),
    ]
    run_id = started(house, document(steps, "a > w"))
    waiting = Token.objects.filter(run_id=run_id, node=node_of(run_id, "w"), state="W")
    wait_until(lambda: waiting.count() == 3, 20, "all to wait")
    cancel_run(run_id, house.actor)
    ended(house, run_id, "cancelled")
    preview = preview_rerun(run_id, "a", house.actor, scope=places(run_id, "a")[1])
    assert [one.key for one in preview.goes_on] == ["w"]
    rerun(house, run_id, "a", places(run_id, "a")[1])
    wait_until(lambda: waiting.count() == 3, 20, "all to wait again")
    assert [acts.count("a", item) for item in range(3)] == [1, 2, 1]
    assert list(breaches(everything=True)) == []
    cancel_run(run_id, house.actor)


@pytest.mark.parametrize("parallel", [None, 2])
def test_an_item_that_has_ended_while_others_are_still_at_work(
    house: House, busy: None, acts: Acts, parallel: int | None
) -> None:
    """The for-each has a choice: the first item ends at once, the others wait."""
    steps = [
        step("each", "for_each", config={"items": [0, 1, 2], "parallel": parallel}),
        told("a", parent="each", **ITEM),
        step("way", "choose", parent="each", config=CHOICE),
        step("w", "delay", parent="each", config=HOUR),
        told("last"),
    ]
    run_id = started(house, document(steps, "a > way", "way.wait > w", "each > last"))
    waiting = waits_in(run_id, "w", 2)
    first = places(run_id, "a")[0]
    assert first not in waiting
    tokens = set(Token.objects.filter(run_id=run_id, node=node_of(run_id, "w")).values_list("pk", flat=True))
    wait_until(lambda: Scope.objects.get(run_id=run_id).ok == 1, 20, "the first to be counted")
    rerun(house, run_id, "a", first)
    if parallel is None:
        wait_until(lambda: acts.count("a", 0) == 2, 20, "the item to be done again")
        wait_until(lambda: Scope.objects.get(run_id=run_id).ok == 1, 20, "it to be counted once")
    else:
        again_ = Token.objects.get(run_id=run_id, node=node_of(run_id, "a"))
        assert (again_.waiting or {})["text"] == "Waiting for another item to end", "no more than two at once"
    assert set(Token.objects.filter(run_id=run_id, node=node_of(run_id, "w")).values_list("pk", flat=True)) == tokens
    assert list(breaches(everything=True)) == []
    for scope in waiting:
        again(house, lambda: skip_step(run_id, "w", house.actor, scope=scope))  # noqa: B023
    ended(house, run_id, "succeeded")
    assert [acts.count("a", item) for item in range(3)] == [2, 1, 1]
    assert acts.count("last") == 1
    assert (Scope.objects.get(run_id=run_id).ok, Scope.objects.get(run_id=run_id).fail) == (3, 0)


CHOICE = {"cases": [{"port": "wait", "when": {"$": "item > 0"}}]}


def test_an_item_that_is_itself_at_work(house: House, busy: None, acts: Acts) -> None:
    steps = [
        step("each", "for_each", config={"items": [0, 1]}),
        told("a", parent="each", **ITEM),
        step("w", "delay", parent="each", config=HOUR),
    ]
    run_id = started(house, document(steps, "a > w"))
    first, second = waits_in(run_id, "w", 2)
    old = Token.objects.get(run_id=run_id, scope_id=second)
    rerun(house, run_id, "a", second)
    wait_until(lambda: acts.count("a", 1) == 2, 20, "the item to be done again")
    assert waits_in(run_id, "w", 2) == [first, second]
    assert not Token.objects.filter(pk=old.pk).exists()
    assert list(breaches(everything=True)) == []
    for scope in (first, second):
        again(house, lambda: skip_step(run_id, "w", house.actor, scope=scope))  # noqa: B023
    ended(house, run_id, "succeeded")
    assert [acts.count("a", item) for item in (0, 1)] == [1, 2]
