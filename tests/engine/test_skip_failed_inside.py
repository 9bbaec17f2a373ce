"""Skip of a step that failed inside a container: its item goes on, what else failed in it stands as it is."""

from threading import Barrier
from typing import Any

import pytest

from orchestrator.core.errors import BranchlineError
from orchestrator.models import Run, RunRecord, Scope, StepLog
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.skip import preview_skip, skip_step
from orchestrator.services.skip_preview import told_skip
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
    nested,
    node_of,
    places,
    started,
    told,
)
from tests.engine.drawings import document, step
from tests.engine.house import House, error, output
from tests.engine.switched import again
from tests.engine.test_rerun import refused

__all__ = ["acts", "busy"]


def skip(house: House, run_id: Any, key: str, scope: int | None = None, value: Any = "given") -> None:
    again(house, lambda: skip_step(run_id, key, house.actor, "why", output=value, scope=scope))


@pytest.mark.parametrize("slow", [False, True])
def test_the_item_goes_on_with_the_given_output(house: House, busy: None, acts: Acts, slow: bool) -> None:
    acts.failing = {("b", 1)}
    # Slow items are at work at once; quick ones one after another, and stored together.
    run_id = failed_last(house, acts, for_each(slow=slow), others=2 if slow else 0)
    failed = StepLog.objects.get(run_id=run_id, node=node_of(run_id, "b"), outcome="F").scope_id
    assert preview_skip(run_id, "b", house.actor, scope=failed) == ("out",)
    skip(house, run_id, "b", failed)
    run = ended(house, run_id, "succeeded")
    assert run.output == "last.1"
    assert [acts.count("b", item) for item in range(3)] == [1, 1, 1]
    assert [acts.count("c", item) for item in range(3)] == [1, 1, 1]
    rows = StepLog.objects.filter(run_id=run_id, node=node_of(run_id, "b"), scope_id=failed).order_by("attempt")
    assert list(rows.values_list("generation", "attempt", "outcome", "output")) == [
        (0, 1, "F", None),
        (0, 2, "S", "given"),
    ]
    assert Scope.objects.filter(run_id=run_id).count() == 1
    (record,) = RunRecord.objects.filter(run_id=run_id, kind="step_skipped")
    assert (record.detail["step"], record.detail["scope"]) == ("b", str(failed))
    assert list(breaches(everything=True)) == []


def test_the_last_step_of_an_item(house: House, busy: None, acts: Acts) -> None:
    """Nothing is left to do in the item: it counts, and the for-each ends with what was given."""
    acts.failing = {("c", 2)}
    run_id = started(house, for_each(parallel=1))
    ended(house, run_id, "failed")
    skip(house, run_id, "c")
    ended(house, run_id, "succeeded")
    each = StepLog.objects.filter(run_id=run_id, node=node_of(run_id, "each"), outcome="S").get()
    assert each.output == ["c0.1", "c1.1", "given"]


def test_another_failure_stands_until_it_is_skipped_too(house: House, busy: None, acts: Acts) -> None:
    """One is tolerated, two failed and a third was cut short or never began: nothing is tried again unasked."""
    acts.failing = {("b", 1), ("b", 2)}
    run_id = started(house, for_each(4, parallel=1, tolerate={"count": 1}))
    ended(house, run_id, "failed")
    assert acts.count("a", 3) == 0
    first, second = sorted(
        StepLog.objects.filter(run_id=run_id, node=node_of(run_id, "b"), outcome="F").values_list("scope_id", flat=True)
    )
    skip(house, run_id, "b", first)
    ended(house, run_id, "succeeded")  # one more is tolerated
    assert [acts.count("b", item) for item in range(4)] == [1, 1, 1, 1]
    each = StepLog.objects.filter(run_id=run_id, node=node_of(run_id, "each"), outcome="S").get()
    assert each.output == ["c0.1", "c1.1", None, "c3.1"]
    with pytest.raises(BranchlineError, match="has gone on without it") as gone:
        skip_step(run_id, "b", house.actor, scope=second)
    assert gone.value.error_code == "step_not_open"


def test_where_another_failure_stands_the_for_each_fails_again(house: House, busy: None, acts: Acts) -> None:
    """None is tolerated and two failed at once: the item goes on, nothing else does; the second skip lets all go on."""
    acts.failing, acts.together = {("b", 0), ("b", 1)}, Barrier(2)
    run_id = failed_together(house, for_each(40, parallel=2))
    assert [acts.count("c", item) for item in range(4)] == [0, 0, 0, 0]
    first, second = places(run_id, "b")
    told_ = told_skip(run_id, "b", house.actor, scope=first)
    assert (told_.fails_again, told_.goes_on) == (True, ())
    skip(house, run_id, "b", first)
    assert error(ended(house, run_id, "failed"))["details"]["item"] == 1
    assert [acts.count("c", item) for item in range(4)] == [1, 0, 0, 0]
    told_ = told_skip(run_id, "b", house.actor, scope=second)
    assert (told_.fails_again, [one.key for one in told_.goes_on]) == (False, ["a"])
    skip(house, run_id, "b", second)
    ended(house, run_id, "succeeded")
    assert [acts.count("b", item) for item in range(4)] == [1, 1, 1, 1]
    assert {acts.count("c", item) for item in range(40)} == {1}


def test_a_step_in_a_scope_and_the_next_failure_beside_it(house: House, busy: None, acts: Acts) -> None:
    acts.failing = {("b", None), ("d", None)}
    steps = [told("first"), step("box", "scope"), told("last"), *(told(key, parent="box") for key in "abcde")]
    run_id = started(house, document(steps, "first > box > last", "a > b > c", "d > e"))
    ended(house, run_id, "failed")
    acts.failing = set()
    told_ = told_skip(run_id, "b", house.actor)
    assert (told_.ports, told_.fails_again) == (("out",), True)
    skip(house, run_id, "b")
    ended(house, run_id, "failed")
    counted = {key: acts.count(key) for key in "abcde"}
    assert counted == {"a": 1, "b": 1, "c": 1, "d": 1, "e": 0}, "its branch goes on; the other one stands as it failed"
    skip(house, run_id, "d")
    ended(house, run_id, "succeeded")
    assert {key: acts.count(key) for key in "abcde"} == {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}
    assert acts.count("last") == 1


def test_a_turn_of_a_repeat(house: House, busy: None, acts: Acts) -> None:
    until = {"turns": 5, "until": {"$": "turn == 3"}}
    steps = [step("again", "repeat", config=until), told("a", parent="again", **TURN), told("last")]
    acts.failing = {("a", 2)}
    run_id = started(house, document(steps, "again > last"))
    ended(house, run_id, "failed")
    first, second = places(run_id, "a")
    assert refused(lambda: skip_step(run_id, "a", house.actor, scope=first)) == "step_not_open"
    skip(house, run_id, "a", second)
    ended(house, run_id, "succeeded")
    assert [acts.count("a", turn) for turn in (1, 2, 3)] == [1, 1, 1]


def test_a_step_deep_inside(house: House, busy: None, acts: Acts) -> None:
    acts.failing = {("d", 21)}
    run_id = started(house, nested())
    ended(house, run_id, "failed")
    acts.failing = set()
    skip(house, run_id, "d")
    ended(house, run_id, "succeeded")
    assert {(key, where) for key, where, _ in acts.seen if key == "d"} == {("d", 11), ("d", 12), ("d", 21), ("d", 22)}
    assert [acts.count("d", item) for item in (11, 12, 21, 22)].count(1) >= 3
    assert acts.count("d", 21) == 1
    assert acts.count("last") == 1
    assert list(breaches(everything=True)) == []


def test_a_scope_with_a_lock(house: House, busy: None, acts: Acts) -> None:
    """What follows waits for the lock; where nothing follows the scope ends without it."""
    acts.failing = {("b", None), ("c", None)}
    box = step("box", "scope", config={"lock": "bench"})
    run_id = started(
        house, document([box, told("a", parent="box"), told("b", parent="box"), told("c", parent="box")], "a > b > c")
    )
    ended(house, run_id, "failed")
    skip(house, run_id, "b")
    ended(house, run_id, "failed")
    assert acts.count("c") == 1
    skip(house, run_id, "c", value="end")
    assert output(ended(house, run_id, "succeeded")) == "end"


def test_only_what_failed_and_stands_is_skipped(house: House, busy: None, acts: Acts) -> None:
    acts.failing = {("b", None)}
    box = step("box", "scope")
    steps = [box, told("rescue"), told("a", parent="box"), told("b", parent="box")]
    run_id = started(house, document(steps, "a > b", "box.error > rescue"))
    ended(house, run_id, "succeeded")
    with pytest.raises(BranchlineError, match="has gone on without it"):
        skip_step(run_id, "b", house.actor)
    assert refused(lambda: skip_step(run_id, "a", house.actor)) == "step_not_open"
    assert Run.objects.get(pk=run_id).state == "succeeded"


def test_a_retry_takes_up_the_rest(house: House, busy: None, acts: Acts) -> None:
    acts.failing = {("b", 1), ("b", 2)}
    run_id = started(house, for_each(3, tolerate={"count": 1}, parallel=1))
    ended(house, run_id, "failed")
    acts.failing = {("b", 2)}
    retry_run(run_id, house.actor)
    cancel_run(run_id, house.actor)
    assert list(breaches()) == []
    assert ITEM
