"""Sub-workflows on real rows: what the child gives, and what is done to parent and child together."""

import threading
from typing import Any
from uuid import UUID

import pytest

from orchestrator.core.parse import parse_document
from orchestrator.engine import children
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.skip import skip_step
from orchestrator.services.versions import publish_version
from orchestrator.steps import KINDS
from tests.engine.containers import ended, inside, value
from tests.engine.drawings import document, step
from tests.engine.house import House, error, keeper_at_work, leftovers, make_tools, output, worker_at_work
from tests.engine.kinds import Held, kinds
from tests.waiting import wait_until


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
