"""Going on without a step that waits inside a container: in one item of many, in a turn, in a scope."""

from typing import Any
from uuid import UUID

import pytest

from orchestrator.core.errors import BranchlineError
from orchestrator.core.outcome import Done
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import HumanTask, RunRecord, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.skip import preview_skip, skip_step
from tests.engine.drawings import document, step
from tests.engine.house import House, output
from tests.engine.kinds import Held, Told, kinds
from tests.engine.switched import Switch, again, at_work, ended, fails, told
from tests.engine.test_rerun import refused
from tests.waiting import wait_until

HOUR = {"for": "PT1H"}
ITEM = {"note": {"$": "steps.w"}}


def scopes(run_id: UUID, node: int, count: int) -> list[int]:
    """Where the step waits, once it does so often; in the order of the items."""
    standing = Token.objects.filter(run_id=run_id, node=node, state="W").exclude(phase=2)
    wait_until(lambda: standing.count() == count, 20, f"{count} to wait")
    return sorted(standing.values_list("scope_id", flat=True))


@pytest.mark.parametrize("parallel", [None, 1])
def test_the_delay_of_one_item_is_skipped(house: House, sandbox: Sandbox, parallel: int | None) -> None:
    """The others go on waiting; what is behind it in its item runs, once."""
    switch = Switch(b=lambda context: Done(context.roots["steps"]["w"]))
    known = kinds(told=Told(switch))
    each = step("each", "for_each", config={"items": [5, 6, 7], "parallel": parallel})
    wait = step("w", "delay", parent="each", config=HOUR)
    version = house.publish(document([each, wait, told("b", parent="each", config=ITEM)], "w > b"), kinds=known)
    at_once = parallel or 3
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        for number in range(3):
            places = scopes(run_id, 1, at_once if parallel else at_once - number)
            assert preview_skip(run_id, "w", house.actor, scope=places[0]) == ("out",)
            again(house, lambda: skip_step(run_id, "w", house.actor, "late", output=number, scope=places[0]))  # noqa: B023
            wait_until(lambda: len(switch.attempts("b")) == number + 1, 20, "what is behind it")  # noqa: B023
        run = ended(house, run_id, "succeeded")
    assert output(run) == [0, 1, 2]
    assert StepLog.objects.filter(run_id=run_id, node=2, outcome="S").count() == 3
    assert [one.detail["step"] for one in RunRecord.objects.filter(run_id=run_id, kind="step_skipped")] == ["w"] * 3
    assert list(breaches(everything=True)) == []


def test_where_it_stands_once_no_scope_is_needed(house: House, sandbox: Sandbox) -> None:
    """A repeat goes on to its next turn, a scope to its end."""
    again_ = step("again", "repeat", config={"turns": 5, "until": {"$": "turn == 2"}})
    box = step("box", "scope", parent="again")
    version = house.publish(document([again_, box, step("w", "delay", parent="box", config=HOUR)]))
    with at_work(house, sandbox, kinds()):
        run_id = house.start(version)
        first = scopes(run_id, 2, 1)
        again(house, lambda: skip_step(run_id, "w", house.actor, output="one"))
        waiting = Token.objects.filter(run_id=run_id, node=2, state="W").exclude(scope_id__in=first)
        wait_until(waiting.exists, 20, "the second turn")
        again(house, lambda: skip_step(run_id, "w", house.actor, output="two"))
        assert output(ended(house, run_id, "succeeded")) == "two"
    assert list(breaches(everything=True)) == []


def test_a_container_in_an_item_is_skipped_with_all_it_holds(house: House, sandbox: Sandbox) -> None:
    each = step("each", "for_each", config={"items": [1, 2]})
    box = step("box", "scope", parent="each")
    version = house.publish(document([each, box, step("w", "delay", parent="box", config=HOUR)]))
    with at_work(house, sandbox, kinds()):
        run_id = house.start(version)
        scopes(run_id, 2, 2)
        for place in scopes(run_id, 1, 2):
            again(house, lambda: skip_step(run_id, "box", house.actor, output="out", scope=place))  # noqa: B023
        assert output(ended(house, run_id, "succeeded")) == ["out", "out"]
    assert list(breaches(everything=True)) == []


def test_it_is_held_in_a_paused_run(house: House, sandbox: Sandbox) -> None:
    switch = Switch()
    known = kinds(told=Told(switch))
    steps = [step("box", "scope"), step("w", "delay", parent="box", config=HOUR), told("b", parent="box")]
    version = house.publish(document(steps, "w > b"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        scopes(run_id, 1, 1)
        pause_run(run_id, house.actor)
        again(house, lambda: skip_step(run_id, "w", house.actor))
        assert list(Token.objects.filter(run_id=run_id, node=2).values_list("state", flat=True)) == ["H"]
        assert switch.attempts("b") == []
        again(house, lambda: resume_run(run_id, house.actor))
        ended(house, run_id, "succeeded")


def test_which_one_must_be_said_where_it_stands_in_several(house: House, sandbox: Sandbox) -> None:
    each = step("each", "for_each", config={"items": [1, 2]})
    version = house.publish(document([each, step("w", "delay", parent="each", config=HOUR)]))
    with at_work(house, sandbox, kinds()):
        run_id = house.start(version)
        first, second = scopes(run_id, 1, 2)
        with pytest.raises(BranchlineError, match="2 items or turns at once") as several:
            skip_step(run_id, "w", house.actor)
        assert several.value.error_code == "step_inside_container"
        block = first - 1  # there stands the lane of the for-each: no step
        for key, scope in (("w", block), ("each", block), ("w", second + 1), ("nosuch", first), ("each", first)):
            assert refused(lambda: skip_step(run_id, key, house.actor, scope=scope)) in {  # noqa: B023
                "step_not_open",
                "not_found",
            }
        skip_step(run_id, "w", house.actor, scope=first)
        assert refused(lambda: skip_step(run_id, "w", house.actor, scope=first)) == "step_not_open"
        assert refused(lambda: preview_skip(run_id, "w", house.actor, scope=first)) == "step_not_open"
        cancel_run(run_id, house.actor)


def test_what_works_failed_or_asks_people_is_not_skipped(house: House, sandbox: Sandbox) -> None:
    held, switch = Held(), Switch(b=fails)
    known = kinds(told=Told(switch), held=held)
    form = {"title": "Well?", "outcomes": [{"key": "yes", "label": "Yes"}]}
    box = step("box", "scope", config={"on_failure": "continue"})
    inner: list[Any] = [
        told("b", parent="box"),
        step("ask", "human_task", parent="box", config=form),
        step("work", "held", parent="box"),
    ]
    version = house.publish(document([box, *inner]), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        held.enter()
        wait_until(HumanTask.objects.waiting().filter(run_id=run_id).exists, 10, "the form")
        wait_until(StepLog.objects.filter(run_id=run_id, outcome="F").exists, 10, "b to fail")
        assert refused(lambda: skip_step(run_id, "ask", house.actor)) == "approval_not_skippable"
        assert refused(lambda: skip_step(run_id, "work", house.actor)) == "step_running"
        assert refused(lambda: preview_skip(run_id, "work", house.actor)) == "step_running"
        again(house, lambda: skip_step(run_id, "b", house.actor, output=1))  # its failure alone: the others go on
        assert StepLog.objects.get(run_id=run_id, node=1, outcome="S").attempt == 2
        held.release.set()
        cancel_run(run_id, house.actor)


def test_what_waits_for_its_turn_at_a_lock_is_not_skipped(house: House, sandbox: Sandbox) -> None:
    """It would go on without the lock."""
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    steps = [step("box", "scope", config={"lock": "bench"}), told("a", parent="box"), told("b", parent="box")]
    version = house.publish(document(steps, "a > b"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
    retry_run(run_id, house.actor)
    assert refused(lambda: skip_step(run_id, "b", house.actor)) == "step_not_open"
    cancel_run(run_id, house.actor)
    assert list(breaches()) == []
