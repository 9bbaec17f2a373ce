"""Retry of one step that failed inside a container: it is tried again where it failed, what else failed stays."""

from threading import Barrier
from typing import Any

import pytest

from orchestrator.core.errors import BranchlineError
from orchestrator.models import Run, RunRecord, Scope, StepLog
from orchestrator.queries.fsck import breaches
from orchestrator.services.repeat_preview import preview_retry
from orchestrator.services.retry_step import retry_step
from tests.engine.acts import (
    ITEM,
    TURN,
    Acts,
    acts,
    busy,
    ended,
    failed_last,
    failed_together,
    for_each,
    node_of,
    places,
    started,
    told,
)
from tests.engine.drawings import document, step
from tests.engine.house import House, error
from tests.engine.switched import again

__all__ = ["acts", "busy"]


def retry(house: House, run_id: Any, key: str, scope: int | None = None) -> None:
    again(house, lambda: retry_step(run_id, key, house.actor, "why", scope=scope))


def failed_at(run_id: Any, key: str) -> list[int]:
    rows = StepLog.objects.filter(run_id=run_id, node=node_of(run_id, key), outcome="F")
    return sorted(rows.values_list("scope_id", flat=True))


@pytest.mark.parametrize("slow", [False, True])
def test_it_is_tried_again_under_its_old_key_and_its_item_goes_on(
    house: House, busy: None, acts: Acts, slow: bool
) -> None:
    acts.failing = {("b", 1)}
    # Slow items are at work at once; quick ones one after another, and stored together.
    run_id = failed_last(house, acts, for_each(slow=slow), others=2 if slow else 0)
    (scope,) = failed_at(run_id, "b")
    preview = preview_retry(run_id, house.actor, "b", scope=scope)
    assert [(one.key, one.had, one.new_key) for one in preview.first] == [("b", "failed", False)]
    assert [(one.key, one.number) for one in preview.places] == [("each", 2)]
    assert {"c", "each", "last"} <= {one.key for one in preview.behind}
    assert not preview.fails_again
    acts.failing = set()
    retry(house, run_id, "b", scope)
    assert ended(house, run_id, "succeeded").output == "last.1"
    assert [acts.count("b", item) for item in range(3)] == [1, 2, 1]
    assert [acts.count("c", item) for item in range(3)] == [1, 1, 1]
    assert len({one[2] for one in acts.seen if one[:2] == ("b", 1)}) == 1
    (record,) = RunRecord.objects.filter(run_id=run_id, kind="retried")
    assert (record.detail["step"], record.detail["scope"], record.detail["reason"]) == ("b", str(scope), "why")
    assert Scope.objects.filter(run_id=run_id).count() == 1
    assert list(breaches(everything=True)) == []


def test_another_failure_stands_until_it_is_retried_too(house: House, busy: None, acts: Acts) -> None:
    acts.failing, acts.together = {("b", 0), ("b", 1)}, Barrier(2)
    run_id = failed_together(house, for_each(40, parallel=2))
    acts.failing, acts.together = set(), None
    first, second = places(run_id, "b")
    preview = preview_retry(run_id, house.actor, "b", scope=first)
    assert (preview.fails_again, preview.goes_on) == (True, ())
    retry(house, run_id, "b", first)
    assert error(ended(house, run_id, "failed"))["details"]["item"] == 1
    assert [acts.count("b", item) for item in range(4)] == [2, 1, 0, 0]
    preview = preview_retry(run_id, house.actor, "b", scope=second)
    assert (preview.fails_again, [one.key for one in preview.goes_on]) == (False, ["a"])
    retry(house, run_id, "b", second)
    ended(house, run_id, "succeeded")
    assert [acts.count("b", item) for item in range(4)] == [2, 2, 1, 1]


def test_it_may_fail_again(house: House, busy: None, acts: Acts) -> None:
    acts.failing = {("b", 1)}
    run_id = started(house, for_each())
    ended(house, run_id, "failed")
    for _ in range(2):
        retry(house, run_id, "b")
        ended(house, run_id, "failed")
    assert acts.count("b", 1) == 3
    assert acts.count("last") == 0
    acts.failing = set()
    retry(house, run_id, "b")
    ended(house, run_id, "succeeded")


def test_a_turn_goes_on_with_the_later_ones(house: House, busy: None, acts: Acts) -> None:
    acts.failing = {("b", 2)}
    loop = step("loop", "repeat", config={"turns": 3, "until": {"$": "turn == 3"}})
    run_id = started(
        house, document([loop, told("a", parent="loop", **TURN), told("b", parent="loop", **TURN)], "a > b")
    )
    ended(house, run_id, "failed")
    acts.failing = set()
    retry(house, run_id, "b")
    ended(house, run_id, "succeeded")
    assert [acts.count("a", turn) for turn in (1, 2, 3)] == [1, 1, 1]
    assert [acts.count("b", turn) for turn in (1, 2, 3)] == [1, 2, 1]


def test_a_container_in_an_item_goes_on_where_it_stood(house: House, busy: None, acts: Acts) -> None:
    """The step that is retried is itself a container: nothing in it that succeeded is done again."""
    acts.failing = {("b", 1)}
    each = step("each", "for_each", config={"items": [0, 1, 2], "parallel": 1})
    inner = [told("a", parent="box", **ITEM), told("b", parent="box", **ITEM)]
    run_id = started(house, document([each, step("box", "scope", parent="each"), *inner], "a > b"))
    ended(house, run_id, "failed")
    acts.failing = set()
    retry(house, run_id, "box")
    ended(house, run_id, "succeeded")
    assert [acts.count("a", item) for item in range(3)] == [1, 1, 1]
    assert [acts.count("b", item) for item in range(3)] == [1, 2, 1]
    assert list(breaches(everything=True)) == []


def test_a_sub_workflow_in_an_item_goes_on_where_it_stood(house: House, busy: None, acts: Acts) -> None:
    acts.failing = {("b", None)}
    known = house.kinds  # type: ignore[attr-defined]
    house.publish(document([told("a"), told("b")], "a > b"), slug="child", kinds=known)
    each = step("each", "for_each", config={"items": [0]})
    sub = step("sub", "sub_workflow", config={"workflow": "child"}, parent="each")
    run_id = started(house, document([each, sub]))
    ended(house, run_id, "failed")
    acts.failing = set()
    retry(house, run_id, "sub")
    ended(house, run_id, "succeeded")
    assert (acts.count("a"), acts.count("b")) == (1, 2)
    assert Run.objects.filter(parent_run=run_id).count() == 1


def test_what_is_refused_with_the_way_out(house: House, busy: None, acts: Acts) -> None:
    acts.failing, acts.together = {("b", 0), ("b", 1)}, Barrier(2)
    run_id = failed_together(house, for_each(3, parallel=2))
    acts.together = None
    scope = failed_at(run_id, "b")[0]
    for asked, code in (
        (("b", None), "step_inside_container"),  # in two items
        (("a", scope), "step_not_failed"),
        (("b", scope + 100), "step_not_failed"),
        (("each", scope), "step_not_failed"),
    ):
        key, where = asked
        with pytest.raises(BranchlineError) as refused:
            retry_step(run_id, key, house.actor, scope=where)
        assert refused.value.error_code == code
        with pytest.raises(BranchlineError) as foreseen:
            preview_retry(run_id, house.actor, key, scope=where)
        assert foreseen.value.message == refused.value.message
