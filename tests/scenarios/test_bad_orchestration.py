"""Bad input to the engine: every refusal has its code, and nothing is lost or run twice."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from orchestrator.core.errors import BranchlineError
from orchestrator.core.parse import parse_document
from orchestrator.core.problems import find_problems
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import HumanTask, Run, StepLog
from orchestrator.models.ballot import digest_of
from orchestrator.models.workspace import Role
from orchestrator.queries.actors import actor_in
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.rerun import rerun_step
from orchestrator.services.tasks import decide_task
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step
from tests.engine.house import House, error, leftovers, make_house
from tests.scenarios.conftest import person
from tests.scenarios.driver import inline
from tests.waiting import wait_until


@pytest.fixture
def house(transactional_db: None) -> House:
    return make_house()


def branches(**join: Any) -> dict[str, Any]:
    """Two branches that meet."""
    return document([step("a"), step("b"), step("z", "merge", join=join)], "a > z", "b > z")


def each(items: Any, **config: Any) -> dict[str, Any]:
    """A for-each that adds one to its items."""
    loop = step("each", "for_each", config={"items": items, **config})
    return document([loop, step("x", config={"value": {"$": "item + 1"}}, parent="each")])


def choice(when: Any) -> dict[str, Any]:
    return document([step("a", "choose", config={"cases": [{"port": "large", "when": when}]})])


def turns(until: Any) -> dict[str, Any]:
    return document([step("r", "repeat", config={"until": until, "turns": 3}), step("x", parent="r")])


def delay(**config: Any) -> dict[str, Any]:
    return document([step("a", "delay", config=config)])


def event(**config: Any) -> dict[str, Any]:
    return document([step("a", "wait_event", config={"type": "order.paid", **config})])


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a quorum larger than its branches": (branches(mode="quorum", quorum=3), "quorum_too_large"),
    "a quorum of nobody": (branches(mode="quorum", quorum=0), "quorum_too_small"),
    "a join deadline of nothing": (branches(mode="any", deadline="PT0S"), "deadline_invalid"),
    "a negative join deadline": (branches(mode="any", deadline="-PT5M"), "duration_negative"),
    "tolerated failures beyond all branches": (
        branches(mode="all", tolerate={"percent": 101}),
        "tolerate_out_of_range",
    ),
    "a negative delay": (delay(**{"for": "-PT1S"}), "duration_negative"),
    "a delay of a million years": (delay(**{"for": "P365000000D"}), "duration_too_long"),
    "a duration in months": (delay(**{"for": "P1M"}), "duration_calendar"),
    "a duration that is none": (delay(**{"for": "soon"}), "duration_invalid"),
    "a moment without a zone": (delay(until="2026-01-01T00:00:00"), "config_invalid"),
    "a negative run deadline": (document([step("a")], settings={"deadline": "-P1D"}), "duration_negative"),
    "a run deadline of nothing": (document([step("a")], settings={"deadline": "PT0S"}), "deadline_invalid"),
    "a time-out of a century": (document([step("a", timeout="P36500D")]), "duration_too_long"),
    "a due date in the past": (
        document([step("a", "human_task", config={"title": "Late", "due": "-P1D"})]),
        "duration_negative",
    ),
    "a milliard attempts": (document([step("a", retry={"attempts": 10**9})]), "attempts_out_of_range"),
    "a back-off that shrinks": (document([step("a", retry={"factor": 0})]), "out_of_range"),
    "literal items that are no list": (each({"one": 1}), "items_not_a_list"),
    "literal items that are nothing": (each(None), "items_not_a_list"),
    "100,001 literal items": (each([1] * 100_001), "too_many_items"),
    "an event without a type": (event(type=""), "event_type_invalid"),
    "an event of a type with spaces": (event(type="order paid"), "event_type_invalid"),
    "an event of any key by a null": (event(key=None), "event_key_invalid"),
    "an event with a key of two lines": (event(key="a\nb"), "event_key_invalid"),
    "a negative deadline of an event": (event(deadline="-PT1S"), "duration_negative"),
    "a look back of a century": (event(look_back="P36500D"), "duration_too_long"),
    "a condition that is always true": (event(where="event.data.amount > 100"), "condition_not_expression"),
    "a case whose condition is a text": (choice("input.amount > 100"), "condition_not_expression"),
    "turns until a text": (turns(until="last.done"), "condition_not_expression"),
    "an event that its own key reads": (event(key={"$": "event.key"}), "root_not_available"),
    "a million and one turns": (
        document([step("r", "repeat", config={"until": {"$": "False"}, "turns": 1_000_001}), step("x", parent="r")]),
        "config_invalid",
    ),
    "enough of nothing": (each([1], enough={"count": 0}), "config_invalid"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_before_it_runs(name: str) -> None:
    raw, code = REFUSED[name]
    try:
        found = {problem.code for problem in find_problems(parse_document(raw), KINDS)}
    except BranchlineError as refused:
        problems: Any = refused.details["problems"]
        found = {problem["code"] for problem in problems}
    assert code in found


#: Drawings that may be published; what they are given makes them fail.
FAILING: dict[str, tuple[dict[str, Any], Any, str]] = {
    "items that are an object": (each({"$": "input.items"}), {"items": {"a": 1}}, "items_not_a_list"),
    "items that are a text": (each({"$": "input.items"}), {"items": "abc"}, "items_not_a_list"),
    "items that are nothing": (each({"$": "input.items"}), {"items": None}, "items_not_a_list"),
    "100,001 items": (each({"$": "list(range(100001))"}), {}, "too_many_items"),
    "1,000,001 items": (each({"$": "list(range(1000001))"}), {}, "too_many_items"),
    "more to succeed than there are": (each({"$": "[1]"}, enough={"count": 2}), {}, "enough_too_large"),
    "a workflow that starts itself": (
        document([step("again", "sub_workflow", config={"workflow": "narcissus"})]),
        {},
        "subworkflow_depth",
    ),
    "a duration from the input that is negative": (
        delay(**{"for": {"$": "input.wait"}}),
        {"wait": "-PT1S"},
        "duration_negative",
    ),
    "a duration from the input that is absurd": (
        delay(**{"for": {"$": "input.wait"}}),
        {"wait": "P365000000D"},
        "duration_too_long",
    ),
    "a moment at the end of the calendar": (
        delay(until={"$": "input.at"}),
        {"at": "9999-12-31T23:59:59Z"},
        "duration_too_long",
    ),
    "a due date from the input that is negative": (
        document([step("a", "human_task", config={"title": "Late", "due": {"$": "input.due"}})]),
        {"due": "-P1D"},
        "duration_negative",
    ),
    "a key of an event that is nothing": (event(key={"$": "input.key"}), {"key": None}, "event_key_invalid"),
    "a key of an event that is true": (event(key={"$": "input.key"}), {"key": True}, "event_key_invalid"),
    "a key of an event that is an object": (event(key={"$": "input.key"}), {"key": {"a": 1}}, "event_key_invalid"),
    "a key of an event that is a novel": (event(key={"$": "input.key"}), {"key": "x" * 201}, "event_key_invalid"),
    "a type of an event that is a number": (event(type={"$": "input.type"}), {"type": 5}, "event_type_invalid"),
    "a deadline of an event that is negative": (
        event(deadline={"$": "input.days"}),
        {"days": "-P1D"},
        "duration_negative",
    ),
    "a moment from the input that is none": (delay(until={"$": "input.at"}), {"at": "soon"}, "config_invalid"),
}


def test_each_fails_by_name_while_others_finish(house: House, sandbox: Sandbox) -> None:
    good = house.publish(document([step("a"), step("b"), step("z", "merge")], "a > z", "b > z"))
    slugs = {"a workflow that starts itself": "narcissus"}
    with inline(house, sandbox):
        others = [house.start(good) for _ in range(10)]
        bad = {
            name: house.start(house.publish(raw, slug=slugs.get(name, "")), value)
            for name, (raw, value, _) in FAILING.items()
        }
        codes = {name: error(house.end_of(run_id, 60))["code"] for name, run_id in bad.items()}
        states = {house.end_of(run_id, 60).state for run_id in others}
        wait_until(lambda: not Run.objects.filter(finished_at=None).exists(), 30, "the child runs to end")
    assert codes == {name: code for name, (_, _, code) in FAILING.items()}
    assert states == {"succeeded"}
    assert [leftovers(run.pk) for run in Run.objects.all() if leftovers(run.pk)] == []
    assert list(breaches()) == []


def test_a_moment_that_has_passed_does_not_wait(house: House, sandbox: Sandbox) -> None:
    with inline(house, sandbox):
        run = house.end_of(house.start(house.publish(delay(until="2001-01-01T00:00:00Z"))))
    assert run.state == "succeeded"


def test_a_step_that_never_ran_is_not_repeated(house: House, sandbox: Sandbox) -> None:
    choose = step("c", "choose", config={"cases": [{"port": "x", "when": {"$": "False"}}]})
    with inline(house, sandbox):
        version = house.publish(document([choose, step("never")], "c.x > never"))
        run = house.end_of(house.start(version))
    before = rows(run.pk)
    with pytest.raises(BranchlineError) as refused:
        rerun_step(run.pk, "never", house.actor)
    assert refused.value.error_code == "step_never_ran"
    assert rows(run.pk) == before
    assert Run.objects.get(pk=run.pk).state == "succeeded"


def rows(run_id: UUID) -> list[tuple[Any, ...]]:
    """Everything that the step log says of a run."""
    return list(StepLog.objects.filter(run_id=run_id).order_by("entry").values_list("entry", "node", "outcome"))


def test_a_decision_on_a_cancelled_run_is_refused(house: House, sandbox: Sandbox) -> None:
    ada = actor_in(house.workspace.slug, person(house, "ada", Role.APPROVER))
    assert ada is not None
    with inline(house, sandbox):
        version = house.publish(
            document([step("ask", "human_task", config={"title": "Sure?"}), step("b")], "ask.approved > b")
        )
        run_id = house.start(version)
        wait_until(HumanTask.objects.filter(run_id=run_id).exists, 20, "the task")
        task = HumanTask.objects.get(run_id=run_id)
        cancel_run(run_id, house.actor)
        with pytest.raises(BranchlineError) as refused:
            decide_task(task_id=task.pk, actor=ada, outcome="approved", values={}, digest=digest_of(task))
        assert house.end_of(run_id).state == "cancelled"
    assert refused.value.error_code == "not_waiting"
    assert [outcome for _, _, outcome in rows(run_id)] == ["K"]
    assert leftovers(run_id) == {}


def broken(house: House, sandbox: Sandbox) -> Run:
    """A failed run whose first step divides by the input's "n"."""
    flaky = step("a", config={"value": {"$": "1 // input.n"}}, retry={"attempts": 1})
    with inline(house, sandbox):
        run = house.end_of(house.start(house.publish(document([flaky, step("b")], "a > b")), {"n": 0}))
    assert run.state == "failed"
    return run


def test_of_two_operators_retrying_at_once_one_wins(house: House, sandbox: Sandbox) -> None:
    run = broken(house, sandbox)
    answers = at_once(lambda: retry_run(run.pk, house.actor), 2)
    with inline(house, sandbox):
        state = house.end_of(run.pk).state
    assert sorted(answers) == ["ok", "run_not_failed"]
    assert (state, StepLog.objects.filter(run=run, node=0, outcome="F").count()) == ("failed", 2)
    assert leftovers(run.pk) == {}
    assert list(breaches()) == []


def test_a_step_that_two_operators_repeat_at_once_runs_once(house: House, sandbox: Sandbox) -> None:
    """Both may be granted, one after the other; nothing has run between them."""
    run = broken(house, sandbox)
    answers = at_once(lambda: rerun_step(run.pk, "a", house.actor, input={"n": 1}), 2)
    with inline(house, sandbox):
        state = house.end_of(run.pk).state
    assert "ok" in answers
    assert state == "succeeded"
    assert [StepLog.objects.filter(run=run, node=node, outcome="S").count() for node in (0, 1)] == [1, 1]
    assert leftovers(run.pk) == {}
    assert list(breaches()) == []


def at_once(act: Callable[[], object], times: int) -> list[str]:
    """Let so many threads act at the same moment: "ok", or the code of the refusal."""
    barrier, answers = threading.Barrier(times), []

    def one() -> None:
        barrier.wait(10)
        try:
            act()
            answers.append("ok")
        except BranchlineError as refused:
            answers.append(refused.error_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers
