"""Re-run from a step inside a container: its container is opened again, what stands beside it is kept."""

from typing import Any

import pytest

from orchestrator.core.errors import BranchlineError
from orchestrator.models import HumanTask, Run, Scope, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run
from orchestrator.services.repeat_preview import preview_rerun
from orchestrator.services.rerun import rerun_step
from orchestrator.services.skip import skip_step
from tests.engine.acts import (
    HOUR,
    ITEM,
    Acts,
    acts,
    busy,
    ended,
    for_each,
    nested,
    node_of,
    places,
    rerun,
    started,
    told,
    waits_in,
)
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.switched import again
from tests.engine.test_rerun import refused
from tests.waiting import wait_until

__all__ = ["acts", "busy"]


def test_a_step_in_a_scope(house: House, busy: None, acts: Acts) -> None:
    """It stands once: nobody need say where."""
    steps = [told("first"), step("box", "scope"), told("last"), *(told(key, parent="box") for key in "abcd")]
    run_id = started(house, document(steps, "first > box > last", "a > b > c"))
    ended(house, run_id, "succeeded")
    rerun(house, run_id, "b")
    ended(house, run_id, "succeeded")
    counted = {key: acts.count(key) for key in ("first", "a", "b", "c", "d", "last")}
    assert counted == {"first": 1, "a": 1, "b": 2, "c": 2, "d": 1, "last": 2}
    assert Scope.objects.filter(run_id=run_id).count() == 1


def test_a_step_deep_inside(house: House, busy: None, acts: Acts) -> None:
    run_id = started(house, nested())
    ended(house, run_id, "succeeded")
    scope = StepLog.objects.get(run_id=run_id, node=node_of(run_id, "d"), output="d21.1").scope_id
    rerun(house, run_id, "d", scope)
    ended(house, run_id, "succeeded")
    twice = {(key, where) for key, where, _ in acts.seen if acts.count(key, where) == 2}
    assert twice == {("d", 21), ("f", 20), ("last", None)}
    assert Scope.objects.filter(run_id=run_id).count() == 1 + 2 + 4
    inner = StepLog.objects.filter(run_id=run_id, node=node_of(run_id, "inner")).latest("entry")
    assert inner.output == [{"box": "d21.2", "e": "e21.1"}, {"box": "d22.1", "e": "e22.1"}]
    assert list(breaches(everything=True)) == []


def test_what_an_earlier_time_left_is_not_begun_with(house: House, busy: None, acts: Acts) -> None:
    """A container that was entered anew has other items: those of before are of no time that counts."""
    run_id = started(house, for_each())
    ended(house, run_id, "succeeded")
    old = places(run_id, "b")[0]
    rerun(house, run_id, "first")
    ended(house, run_id, "succeeded")
    assert refused(lambda: rerun_step(run_id, "b", house.actor, scope=old)) == "step_never_ran"
    rerun(house, run_id, "b", places(run_id, "b")[3])
    ended(house, run_id, "succeeded")
    assert acts.count("b", 0) == 3


def test_where_must_be_said_and_must_be_right(house: House, busy: None, acts: Acts) -> None:
    run_id = started(house, for_each())
    ended(house, run_id, "succeeded")
    with pytest.raises(BranchlineError, match=r"in 3 items or turns.*Say in which") as several:
        rerun_step(run_id, "b", house.actor)
    assert several.value.error_code == "step_inside_container"
    scope = places(run_id, "b")[0]
    for key, wrong in (("b", scope + 7), ("b", 5), ("first", scope), ("each", scope), ("b", scope - 1)):
        assert refused(lambda: rerun_step(run_id, key, house.actor, scope=wrong)) == "step_never_ran"  # noqa: B023
    assert refused(lambda: rerun_step(run_id, "nosuch", house.actor, scope=scope)) == "not_found"
    assert Run.objects.get(pk=run_id).generation == 0


def test_a_step_at_a_join_inside_keeps_its_branches(house: House, busy: None, acts: Acts) -> None:
    steps = [
        step("each", "for_each", config={"items": [0, 1]}),
        *(told(key, parent="each", **ITEM) for key in "abd"),
        told("c", parent="each", **ITEM),
    ]
    run_id = started(house, document(steps, "a > c", "b > c > d"))
    ended(house, run_id, "succeeded")
    rerun(house, run_id, "c", places(run_id, "c")[0])
    ended(house, run_id, "succeeded")
    rerun(house, run_id, "a", places(run_id, "a")[1])
    ended(house, run_id, "succeeded")
    assert {key: [acts.count(key, item) for item in (0, 1)] for key in "abcd"} == {
        "a": [1, 2],
        "b": [1, 1],
        "c": [2, 2],
        "d": [2, 2],
    }


def test_a_task_inside_is_asked_again_and_a_sub_workflow_begins_anew(house: House, busy: None, acts: Acts) -> None:
    house.publish(document([told("deep")]), slug="child", kinds=house.kinds)  # type: ignore[attr-defined]
    form = {"title": "Well?", "outcomes": [{"key": "yes", "label": "Yes"}], "assignees": {"roles": ["admin"]}}
    steps = [
        step("each", "for_each", config={"items": [0, 1]}),
        told("a", parent="each", **ITEM),
        step("sub", "sub_workflow", parent="each", config={"workflow": "child"}),
        step("w", "delay", parent="each", config={"for": "PT0S"}),
        step("ask", "human_task"),
    ]
    steps[-1]["config"] = {key: form[key] for key in ("title", "outcomes")}
    run_id = started(house, document(steps, "a > sub > w", "each > ask"))
    tasks = HumanTask.objects.waiting().filter(run_id=run_id)
    wait_until(tasks.exists, 20, "the form")
    first = tasks.get().pk
    assert acts.count("deep") == 2
    rerun(house, run_id, "a", places(run_id, "a")[0])
    wait_until(lambda: tasks.exclude(pk=first).exists(), 20, "the form, asked again")
    assert tasks.count() == 1
    assert acts.count("deep") == 3
    assert Run.objects.filter(parent_run=run_id).count() == 3
    assert list(breaches(everything=True)) == []
    cancel_run(run_id, house.actor)


def test_a_scope_with_a_lock_asks_for_it_anew(house: House, busy: None, acts: Acts) -> None:
    lock = {"config": {"lock": "bench"}}
    steps = [step("left", "scope", **lock), step("right", "scope", **lock)]
    steps += [told("a", parent="left"), told("b", parent="left"), told("c", parent="right")]
    run_id = started(house, document(steps, "a > b"))
    ended(house, run_id, "succeeded")
    rerun(house, run_id, "b")
    ended(house, run_id, "succeeded")
    assert {key: acts.count(key) for key in "abc"} == {"a": 1, "b": 2, "c": 1}
    assert Scope.objects.filter(run_id=run_id).count() == 2


def test_with_another_input_and_the_newest_version(house: House, busy: None, acts: Acts) -> None:
    def drawn(value: str) -> dict[str, Any]:
        steps = [
            step("each", "for_each", config={"items": [0, 1]}),
            told("a", parent="each", **ITEM),
            step("b", config={"value": {"$": value}}, parent="each"),
        ]
        return document(steps, "a > b")

    version = house.publish(drawn("[1, input]"), kinds=house.kinds)  # type: ignore[attr-defined]
    run_id = house.start(version, "old")
    ended(house, run_id, "succeeded")
    raw = drawn("[2, input]")
    from tests.engine.test_rerun import publish_next

    publish_next(house, version, raw, house.kinds)  # type: ignore[attr-defined]
    rerun(house, run_id, "b", places(run_id, "b")[1], newest=True, input="new")
    run = ended(house, run_id, "succeeded")
    assert run.output == [[1, "old"], [2, "new"]]


def test_the_preview_says_what_runs_again(house: House, busy: None, acts: Acts) -> None:
    run_id = started(house, nested())
    ended(house, run_id, "succeeded")
    scope = StepLog.objects.get(run_id=run_id, node=node_of(run_id, "c"), output="c21.1").scope_id
    preview = preview_rerun(run_id, "c", house.actor, scope=scope)
    assert [one.key for one in preview.first] == ["c"]
    assert [one.key for one in preview.behind] == ["outer", "last", "inner", "f", "box", "d"]
    assert preview.goes_on == ()
    assert [(one.key, one.number) for one in preview.places] == [("outer", 2), ("inner", 1), ("box", None)]
    assert all(one.new_key for one in (*preview.first, *preview.behind))
    before = (Run.objects.get(pk=run_id).generation, len(acts.seen))
    assert before == (0, len(acts.seen))
    assert list(breaches(everything=True)) == []


def test_what_was_undone_inside_is_not_gone_on_with(house: House, busy: None, acts: Acts) -> None:
    undo = {"kind": "transform", "config": {"value": 1}}
    acts.failing = {("b", None)}
    box = step("box", "scope", config={"on_failure": "undo"})
    run_id = started(house, document([box, told("a", parent="box", undo=undo), told("b", parent="box")], "a > b"))
    ended(house, run_id, "failed")
    acts.failing = set()
    with pytest.raises(BranchlineError, match=r'undone.*Re-run "box"') as undone:
        rerun_step(run_id, "b", house.actor)
    assert undone.value.error_code == "step_inside_container"


def test_a_branch_of_a_scope_beside_one_that_waits(house: House, busy: None, acts: Acts) -> None:
    steps = [step("box", "scope"), told("a", parent="box"), told("b", parent="box"), told("last")]
    steps.append(step("w", "delay", parent="box", config=HOUR))
    run_id = started(house, document(steps, "a > b", "box > last"))
    waits_in(run_id, "w", 1)
    wait_until(lambda: acts.count("b") == 1, 20, "the other branch to end")
    token = Token.objects.get(run_id=run_id, node=node_of(run_id, "w"))
    wait_until(lambda: StepLog.objects.filter(run_id=run_id, node=node_of(run_id, "b")).exists(), 20, "its row")
    rerun(house, run_id, "a")
    wait_until(lambda: acts.count("b") == 2, 20, "the branch again")
    assert Token.objects.get(run_id=run_id, node=node_of(run_id, "w")).pk == token.pk
    again(house, lambda: skip_step(run_id, "w", house.actor))
    ended(house, run_id, "succeeded")
    assert acts.count("last") == 1
