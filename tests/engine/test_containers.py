"""Containers: scopes, repeats, for-each items and sub-workflows, on real rows."""

import threading
from typing import Any
from uuid import UUID

import pytest

from orchestrator.core.parse import parse_document
from orchestrator.engine import children
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, Scope, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.skip import skip_step
from orchestrator.services.versions import publish_version
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step
from tests.engine.house import House, error, keeper_at_work, leftovers, make_tools, output, worker_at_work
from tests.engine.kinds import Held, kinds
from tests.waiting import wait_until


def inside(parent: str, key: str, kind: str = "transform", **more: Any) -> dict[str, Any]:
    return step(key, kind, parent=parent, **more)


def value(expression: str) -> dict[str, Any]:
    return {"value": {"$": expression}}


def scope(key: str = "box", **config: Any) -> dict[str, Any]:
    return step(key, "scope", config=config)


def for_each(items: Any, key: str = "each", **config: Any) -> dict[str, Any]:
    return step(key, "for_each", config={"items": items, **config})


def repeat(condition: str, expression: str, turns: int = 10) -> dict[str, Any]:
    return step("again", "repeat", config={"turns": turns, condition: {"$": expression}})


def ended(house: House, raw: dict[str, Any], value: Any = None) -> Run:
    run = house.end_of(house.start(house.publish(raw), value))
    assert leftovers(run.pk) == {}
    return run


def test_a_scope_runs_its_steps_and_gives_what_the_last_one_gave(house: House, at_work: None) -> None:
    raw = document(
        [
            step("before"),
            scope(),
            inside("box", "a"),
            inside("box", "b", config=value("steps.a + steps.before")),
            step("after", config=value("steps.box")),
        ],
        "before > box > after",
        "a > b",
    )
    assert output(ended(house, raw)) == "abefore"


def test_branches_inside_a_scope_meet_before_it_ends(house: House, at_work: None) -> None:
    raw = document([scope(), *(inside("box", key) for key in "abcd")], "a > b", "a > c")
    run = ended(house, raw)
    assert output(run) == {"b": "b", "c": "c", "d": "d"}


@pytest.mark.parametrize(("on_failure", "state"), [("fail", "failed"), ("continue", "succeeded")])
def test_a_failure_inside_is_the_scopes_own_unless_it_goes_on(
    house: House, at_work: None, on_failure: str, state: str
) -> None:
    raw = document([scope(on_failure=on_failure), inside("box", "a", config=value("1 // 0")), inside("box", "b")])
    run = ended(house, raw)
    assert run.state == state
    if state == "failed":
        assert "a" in error(run)["message"]


def test_a_failed_scope_leaves_by_its_error_port(house: House, at_work: None) -> None:
    raw = document(
        [scope(), inside("box", "a", config=value("1 // 0")), step("rescue", config=value("errors.box.code"))],
        "box.error > rescue",
    )
    run = ended(house, raw)
    assert (run.state, output(run)) == ("succeeded", {"box": None, "rescue": "expression_failed"})


def test_scopes_nest(house: House, at_work: None) -> None:
    raw = document(
        [
            scope("outer"),
            inside("outer", "inner", "scope"),
            inside("outer", "x"),
            inside("inner", "deep", config=value("input.n + 1")),
        ],
        "x > inner",
    )
    assert output(ended(house, raw, {"n": 1})) == 2


def test_a_repeat_goes_on_until_its_condition_holds(house: House, at_work: None) -> None:
    raw = document([repeat("until", "last >= 4"), inside("again", "a", config=value("(last or 0) + turn"))])
    run = ended(house, raw)
    assert output(run) == 6  # 1, 1+2, 3+3
    assert StepLog.objects.filter(run=run, node=1).count() == 3


def test_a_repeat_reads_the_steps_inside_and_tests_while_before_a_turn(house: House, at_work: None) -> None:
    raw = document([repeat("while", "turn < 2 and steps.a != 7"), inside("again", "a", config=value("turn"))])
    assert output(ended(house, raw)) == 2


def test_a_repeat_that_never_ends_is_stopped(house: House, at_work: None) -> None:
    raw = document([repeat("until", "False", turns=3), inside("again", "a")])
    run = ended(house, raw)
    assert error(run)["code"] == "turn_limit"


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


def test_a_sub_workflow_gives_what_the_child_gave(house: House, at_work: None) -> None:
    house.publish(document([step("a", config=value("input.n * 2"))]), slug="child")
    raw = document([step("sub", "sub_workflow", config={"workflow": "child", "input": {"n": {"$": "input.n"}}})])
    run = ended(house, raw, {"n": 21})
    assert output(run) == 42
    child = Run.objects.get(parent_run=run)
    assert (child.state, child.depth, child.root_run_id, child.correlation_id) == (
        "succeeded",
        1,
        run.pk,
        run.correlation_id,
    )


def test_a_sub_workflow_keeps_the_version_that_is_drawn_or_that_was_live_when_it_began(
    house: House, at_work: None
) -> None:
    held = [step("wait", "delay", config={"for": "PT1H"}), step("a", config=value("1"))]
    first = house.publish(document(held, "wait > a"), slug="child")
    drawn = {"workflow": "child", "version": 1}
    begun = house.start(house.publish(document([step("sub", "sub_workflow", config={"workflow": "child"})])))
    wait_until(Token.objects.filter(run__parent_run=begun, state="W").exists, 20, "the child to wait")
    raw = document([step("wait", config=value("0")), step("a", config=value("2"))], "wait > a")
    again = publish_version(
        workflow=first.workflow, document=parse_document(raw), raw=raw, note="", actor=house.actor, kinds=KINDS
    )
    assert again.number == 2
    pinned = house.start(house.publish(document([step("sub", "sub_workflow", config=drawn)])))
    newest = house.start(house.publish(document([step("sub", "sub_workflow", config={"workflow": "child"})])))
    assert output(house.end_of(newest)) == 2
    wait_until(Token.objects.filter(run__parent_run=pinned, state="W").exists, 20, "the pinned child to wait")
    for run_id in (begun, pinned):
        child = Run.objects.get(parent_run=run_id)
        assert child.version_id == first.pk
        skip_step(child.pk, "wait", house.actor)
        assert output(house.end_of(run_id)) == 1


def test_the_childs_error_reaches_the_parent(house: House, at_work: None) -> None:
    house.publish(document([step("a", config=value("1 // 0"))]), slug="child")
    run = ended(house, document([step("sub", "sub_workflow", config={"workflow": "child"})]))
    assert error(run)["code"] == "expression_failed"
    assert "division" in error(run)["message"]


def test_a_workflow_that_starts_itself_is_stopped(house: House, at_work: None) -> None:
    raw = document([step("sub", "sub_workflow", config={"workflow": "narcissus"})])
    run = house.end_of(house.start(house.publish(raw, slug="narcissus")))
    assert error(run)["code"] == "subworkflow_depth"
    assert error(run)["message"] == (
        'Workflow "narcissus" (8 times, one in the other) failed: '
        "Sub-workflows nest 8 deep at most. Does one start itself?"
    )
    assert Run.objects.filter(root_run=run).count() == 8


@pytest.mark.parametrize(
    ("config", "code"),
    [({"workflow": "nobody"}, "unknown_workflow"), ({"workflow": "child", "version": 9}, "not_published")],
)
def test_a_sub_workflow_that_does_not_exist_is_a_named_failure(
    house: House, at_work: None, config: dict[str, Any], code: str
) -> None:
    house.publish(document([step("a")]), slug="child")
    run = ended(house, document([step("sub", "sub_workflow", config=config)]))
    assert error(run)["code"] == code


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


def waiting_family(house: House) -> UUID:
    """A parent whose child waits for an hour."""
    house.publish(document([step("w", "delay", config={"for": "PT1H"})]), slug="child")
    run_id = house.start(house.publish(document([step("sub", "sub_workflow", config={"workflow": "child"})])))
    wait_until(lambda: Token.objects.filter(run__parent_run=run_id, state="W").exists(), 10, "the child to wait")
    return run_id


def test_cancelling_a_parent_cancels_its_child(house: House, at_work: None) -> None:
    run_id = waiting_family(house)
    cancel_run(run_id, house.actor)
    assert house.end_of(run_id).state == "cancelled"
    assert Run.objects.get(parent_run=run_id).state == "cancelled"


@pytest.mark.parametrize("polite_first", [False, True])
def test_a_hard_cancellation_takes_steps_of_sub_workflows_away_at_once(
    house: House, sandbox: Sandbox, polite_first: bool
) -> None:
    """Two levels down a step is at work and does not listen."""
    held = Held(listens=False)
    known = kinds(held=held)
    house.publish(document([step("w", "held")]), slug="child", kinds=known)
    raw = document([step("box", "scope"), inside("box", "low", "sub_workflow", config={"workflow": "child"})])
    house.publish(raw, slug="middle", kinds=known)
    version = house.publish(document([step("sub", "sub_workflow", config={"workflow": "middle"})]), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker:
        run_id = house.start(version)
        held.enter()
        if polite_first:
            assert cancel_run(run_id, house.actor) == "cancelling"
        assert cancel_run(run_id, house.actor, hard=True) == "cancelled"
        below = Run.objects.filter(root_run=run_id)
        assert [run.state for run in below] == ["cancelled", "cancelled"]
        lost = StepLog.objects.get(run=below.latest("id"), node=0)
        assert (lost.outcome, lost.final) == ("K", True)
        held.release.set()
    assert StepLog.objects.filter(run=below.latest("id"), outcome="S").count() == 0
    assert [leftovers(run.pk) for run in Run.objects.all()] == [{}, {}, {}]
    assert list(breaches(everything=True)) == []


def test_a_hard_cancellation_lets_an_undo_of_a_sub_workflow_go_on(house: House, sandbox: Sandbox) -> None:
    """What is being taken back is not cut short: the run above waits for it."""
    held = Held(listens=False)
    known = kinds(held=held)
    done = step("a") | {"undo": {"kind": "held", "config": {}}}
    undone = document([done, step("b", config=value("1 // 0"))], "a > b", settings={"on_failure": "undo"})
    house.publish(undone, slug="child", kinds=known)
    version = house.publish(document([step("sub", "sub_workflow", config={"workflow": "child"})]), kinds=known)
    with (
        worker_at_work(make_tools(sandbox, known)) as house.worker,
        keeper_at_work(house.worker.poke),
    ):
        run_id = house.start(version)
        held.enter()
        assert cancel_run(run_id, house.actor, hard=True) == "cancelling"
        assert Run.objects.get(parent_run=run_id).state == "undoing"
        held.release.set()
        assert house.end_of(run_id).state == "cancelled"
        assert Run.objects.get(parent_run=run_id).state == "undone"
    assert list(breaches(everything=True)) == []


def test_pausing_a_parent_pauses_its_child(house: House, at_work: None) -> None:
    run_id = waiting_family(house)
    pause_run(run_id, house.actor)
    assert Run.objects.get(parent_run=run_id).state == "paused"
    resume_run(run_id, house.actor)
    assert Run.objects.get(parent_run=run_id).state == "running"


def test_a_child_that_is_started_while_its_parent_is_paused_waits_for_the_resume(
    house: House, at_work: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause came while the step was at work, and passed by a run that was not there yet."""
    begun, paused = threading.Event(), threading.Event()

    def child_item(*arguments: Any) -> Any:
        begun.set()
        assert paused.wait(20)
        return children.child_item(*arguments)

    monkeypatch.setattr("orchestrator.engine.end_items.child_item", child_item)
    house.publish(document([step("a")]), slug="child")
    raw = document([step("sub", "sub_workflow", config={"workflow": "child"})])
    run_id = house.start(house.publish(raw))
    assert begun.wait(20)
    pause_run(run_id, house.actor)
    paused.set()
    wait_until(lambda: Run.objects.filter(parent_run=run_id).exists(), 20, "the child to be started")
    child = Run.objects.get(parent_run=run_id)
    assert (child.state, [token.state for token in Token.objects.filter(run=child)]) == ("paused", ["H"])
    resume_run(run_id, house.actor)
    assert house.worker is not None
    house.worker.poke()
    assert house.end_of(run_id).state == "succeeded"


def test_a_container_that_takes_too_long_ends_what_is_inside(house: House, at_work: None) -> None:
    raw = document(
        [
            step("box", "scope", timeout="PT0.2S"),
            inside("box", "w", "delay", config={"for": "PT1H"}),
            step("late", config=value("errors.box.code")),
        ],
        "box.timeout > late",
    )
    assert output(ended(house, raw)) == {"box": None, "late": "timeout"}
