"""Re-run from a step inside a container: its container is opened again, what stands beside it is kept."""

from collections.abc import Iterator
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest

from orchestrator.core.errors import BranchlineError
from orchestrator.core.outcome import Done, Fail, Outcome, StepFault
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import HumanTask, Run, Scope, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.repeat_preview import preview_rerun
from orchestrator.services.rerun import rerun_step
from orchestrator.services.skip import skip_step
from tests.engine.drawings import document, step
from tests.engine.house import House, error, leftovers, output
from tests.engine.kinds import Told, kinds
from tests.engine.test_rerun import refused
from tests.engine.test_retry_run import again, at_work
from tests.waiting import wait_until

ITEM = {"config": {"note": {"$": "item"}}}
TURN = {"config": {"note": {"$": "turn"}}}


class Acts:
    """Steps of kind `told` give their key, where they stand and a count of their calls; some fail as told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any, str]] = []
        self.failing: set[tuple[str, Any]] = set()
        #: Those that fail wait for each other, so that none is cut short.
        self.together: Barrier | None = None

    def __call__(self, context: Any) -> Outcome:
        where = context.roots.get("item", context.roots.get("turn"))
        self.seen.append((context.step_key, where, context.idempotency_key))
        if (context.step_key, where) in self.failing:
            if self.together is not None:
                self.together.wait(10)
            return Fail(StepFault(code="broken", message="as told"))
        return Done(f"{context.step_key}{'' if where is None else where}.{self.count(context.step_key, where)}")

    def count(self, key: str, where: Any = None) -> int:
        return sum(1 for one in self.seen if one[:2] == (key, where))

    def keys(self, key: str) -> list[str]:
        return [one[2] for one in self.seen if one[0] == key]


@pytest.fixture
def acts() -> Acts:
    return Acts()


@pytest.fixture
def busy(house: House, sandbox: Sandbox, acts: Acts) -> Iterator[None]:
    house.kinds = kinds(told=Told(acts))  # type: ignore[attr-defined]
    with at_work(house, sandbox, house.kinds):  # type: ignore[attr-defined]
        yield


def told(key: str, **more: Any) -> dict[str, Any]:
    return step(key, "told", **more)


def started(house: House, raw: dict[str, Any]) -> UUID:
    return house.start(house.publish(raw, kinds=house.kinds))  # type: ignore[attr-defined]


def node_of(run_id: UUID, key: str) -> int:
    return int(Run.objects.select_related("version").get(pk=run_id).version.plan["keys"].index(key))


def places(run_id: UUID, key: str) -> list[int]:
    """The scopes in which the step has a row, in order."""
    rows = StepLog.objects.filter(run_id=run_id, node=node_of(run_id, key))
    return sorted(set(rows.values_list("scope_id", flat=True)))


def ended(house: House, run_id: UUID, state: str) -> Run:
    """The run once it has ended so, and who was at work in it has heard of that."""
    run = house.end_of(run_id)
    assert run.state == state, run.error
    wait_until(lambda: leftovers(run_id) == {}, 20, "workers to hear of the end")
    assert list(breaches()) == []
    return run


def failed_together(house: House, raw: dict[str, Any]) -> UUID:
    """A run in which two items have failed; the worker of the later one has heard of the end, too."""
    run_id = started(house, raw)
    assert house.end_of(run_id).state == "failed"
    failed = StepLog.objects.filter(run_id=run_id, outcome="F").exclude(scope_id=0)
    wait_until(lambda: failed.count() == 2 and leftovers(run_id) == {}, 20, "both to fail")
    return run_id


def rerun(house: House, run_id: UUID, key: str, scope: int | None = None, **more: Any) -> None:
    again(house, lambda: rerun_step(run_id, key, house.actor, "why", scope=scope, **more))


def for_each(items: int = 3, slow: bool = False, **config: Any) -> dict[str, Any]:
    """first > each(a > b > c) > last"""
    steps = [
        told("first"),
        step("each", "for_each", config={"items": list(range(items)), **config}),
        told("last"),
        *(told(key, parent="each", **ITEM) for key in "abc"),
    ]
    if slow:
        steps.append(step("w", "delay", config={"for": "PT0S"}, parent="each"))
    return document(steps, "first > each > last", "a > b > c", *(["w > a"] if slow else []))


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


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_turn_of_a_repeat_and_those_that_follow(house: House, busy: None, acts: Acts, turn: int) -> None:
    """The turns after it are done again, with what they read of the turn before."""
    until = {"turns": 5, "until": {"$": "turn == 3"}}
    steps = [
        step("again", "repeat", config=until),
        told("a", parent="again", **TURN),
        step("b", config={"value": {"$": "[turn, steps.a, last]"}}, parent="again"),
        told("last"),
    ]
    run_id = started(house, document(steps, "a > b", "again > last"))
    ended(house, run_id, "succeeded")
    rerun(house, run_id, "a", places(run_id, "a")[turn - 1])
    ended(house, run_id, "succeeded")
    assert [acts.count("a", number) for number in (1, 2, 3)] == [1 + (number >= turn) for number in (1, 2, 3)]
    assert acts.count("last") == 2
    value: Any = None
    for number in (1, 2, 3):
        value = [number, f"a{number}.{1 + (number >= turn)}", value]
    row = StepLog.objects.filter(run_id=run_id, node=node_of(run_id, "again")).latest("generation")
    assert row.output == value
    assert list(breaches(everything=True)) == []


def test_fewer_turns_this_time(house: House, busy: None, acts: Acts) -> None:
    """What a later turn gave before is of no time that counts, and a retry does not go there."""
    until = {"turns": 5, "until": {"$": "(last or '').endswith('.2')"}}
    steps = [step("again", "repeat", config=until), told("a", parent="again", **TURN), told("last")]
    run_id = started(house, document(steps, "again > last"))
    assert error(ended(house, run_id, "failed"))["code"] == "turn_limit"
    assert len(places(run_id, "a")) == 5
    rerun(house, run_id, "a", places(run_id, "a")[1])
    ended(house, run_id, "succeeded")
    assert [acts.count("a", number) for number in range(1, 6)] == [1, 2, 1, 1, 1]
    third = places(run_id, "a")[2]
    assert refused(lambda: rerun_step(run_id, "a", house.actor, scope=third)) == "step_never_ran"
    acts.failing = {("a", 2)}
    rerun(house, run_id, "a", places(run_id, "a")[1])
    ended(house, run_id, "failed")
    acts.failing = set()
    again(house, lambda: retry_run(run_id, house.actor))
    ended(house, run_id, "succeeded")
    assert acts.count("a", 2) == 4
    assert acts.count("a", 3) == 2, "a third time in turn 2: so it goes on to the most turns"


def nested() -> dict[str, Any]:
    """first > outer( a > inner( b > box( c > d ), e ) > f ) > last, the containers for-eaches and a scope."""
    steps = [
        told("first"),
        step("outer", "for_each", config={"items": [10, 20]}),
        told("last"),
        told("a", parent="outer", **ITEM),
        step("inner", "for_each", parent="outer", config={"items": {"$": "[item + 1, item + 2]"}}),
        told("f", parent="outer", **ITEM),
        told("b", parent="inner", **ITEM),
        step("box", "scope", parent="inner"),
        told("e", parent="inner", **ITEM),
        told("c", parent="box", **ITEM),
        told("d", parent="box", **ITEM),
    ]
    return document(steps, "first > outer > last", "a > inner > f", "b > box", "c > d")


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


HOUR = {"for": "PT1H"}


def waits_in(run_id: UUID, key: str, count: int) -> list[int]:
    """Where the step waits, once it does so often."""
    waiting = Token.objects.filter(run_id=run_id, node=node_of(run_id, key), state="W").exclude(phase=2)
    wait_until(lambda: waiting.count() == count, 20, f"{count} to wait")
    return sorted(waiting.values_list("scope_id", flat=True))


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


def test_an_earlier_turn_of_a_repeat_that_waits_in_a_later_one(house: House, busy: None, acts: Acts) -> None:
    until = {"turns": 5, "until": {"$": "turn == 2"}}
    steps = [
        step("again", "repeat", config=until),
        told("a", parent="again", **TURN),
        step("box", "scope", parent="again"),
        step("w", "delay", parent="box", config=HOUR),
    ]
    run_id = started(house, document(steps, "a > box"))
    for _ in (1, 2):
        waits_in(run_id, "w", 1)
        if acts.count("a", 2) == 0:
            again(house, lambda: skip_step(run_id, "w", house.actor))
            wait_until(lambda: acts.count("a", 2) == 1, 20, "the second turn")
    waits_in(run_id, "w", 1)
    rerun(house, run_id, "a", places(run_id, "a")[0])
    wait_until(lambda: acts.count("a", 1) == 2, 20, "the first turn again")
    waits_in(run_id, "w", 1)
    assert list(breaches(everything=True)) == []
    again(house, lambda: skip_step(run_id, "w", house.actor))
    wait_until(lambda: acts.count("a", 2) == 2, 20, "the second turn again")
    waits_in(run_id, "w", 1)
    again(house, lambda: skip_step(run_id, "w", house.actor))
    ended(house, run_id, "succeeded")
    assert [acts.count("a", turn) for turn in (1, 2, 3)] == [2, 2, 0]
