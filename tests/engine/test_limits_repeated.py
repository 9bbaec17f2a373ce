"""Limits of open runs hold for retries and re-runs, too: by the key of the input that they get."""

from typing import Any
from unittest.mock import patch

import pytest

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.parse import parse_document
from orchestrator.engine import dispatch
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.repeat_preview import preview_rerun
from orchestrator.services.rerun import rerun_step
from orchestrator.services.run_limit import LimitDiffers
from orchestrator.services.versions import publish_version
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, leftovers, make_tools, worker_at_work
from tests.engine.limited import FOREVER, limited, queued, state, states


def test_a_run_that_is_retried_waits_for_a_slot(house: House, sandbox: Sandbox) -> None:
    version = house.publish(limited(1, "queue", step("a", config={"value": {"$": "1 / 0"}})))
    with worker_at_work(make_tools(sandbox)) as house.worker:
        first = house.start(version)
        assert house.end_of(first).state == "failed"
    house.worker = None
    second = house.start(version)
    retry_run(first, house.actor)
    assert (queued(first, second), states(first)) == ([True, False], ["H"])
    cancel_run(second, house.actor)
    assert (queued(first), states(first)) == ([False], ["R"])


@pytest.mark.parametrize("box", ["scope", "locked", "for_each"])
def test_what_stands_inside_a_container_of_a_retried_run_waits_for_the_slot_too(
    house: House, sandbox: Sandbox, box: str
) -> None:
    """What failed is repaired, so that the run would succeed as soon as it may go on."""
    configs: dict[str, Any] = {"locked": {"lock": "bench"}, "for_each": {"items": [1, 2], "parallel": 1}}
    outer = step("box", "for_each" if box == "for_each" else "scope", config=configs.get(box, {}))
    inner = step("a", config={"value": {"$": "1 / input.by"}}, parent="box")
    version = house.publish(limited(1, "queue", outer, inner))
    with worker_at_work(make_tools(sandbox)) as house.worker:
        first = house.start(version, {"by": 0})
        assert house.end_of(first).state == "failed"
    house.worker = None
    second = house.start(version, {"by": 1})
    Run.objects.filter(pk=first).update(input={"by": 1})
    retry_run(first, house.actor)
    assert queued(first, second) == [True, False]
    assert "R" not in states(first)
    assert list(breaches()) == []
    cancel_run(second, house.actor)
    assert queued(first) == [False]
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        assert house.end_of(first).state == "succeeded"
    assert (leftovers(first), list(breaches())) == ({}, [])


@pytest.mark.parametrize("paused", [False, True])
def test_a_sub_workflow_of_a_retried_run_waits_for_the_slot_too(house: House, sandbox: Sandbox, paused: bool) -> None:
    """Its own run goes on where it failed, but not before the run around it may, not by a resume either."""
    inner = [step("before"), step("a", config={"value": {"$": "1 / input.by"}})]
    house.publish(document(inner, "before > a"), "child").workflow.refresh_from_db()
    call = step("call", "sub_workflow", config={"workflow": "child", "input": {"by": {"$": "input.by"}}})
    version = house.publish(limited(1, "queue", call))
    with worker_at_work(make_tools(sandbox)) as house.worker:
        first = house.start(version, {"by": 0})
        assert house.end_of(first).state == "failed"
    house.worker = None
    second = house.start(version, {"by": 1})
    child = Run.objects.get(parent_run=first).pk
    Run.objects.filter(pk__in=[first, child]).update(input={"by": 1})
    retry_run(first, house.actor)
    if paused:
        pause_run(first, house.actor)
        resume_run(first, house.actor)
    assert queued(first, second) == [True, False]
    assert (states(first), states(child)) == (["W"], ["H"])
    assert list(breaches()) == []
    told: list[str] = []
    with patch.object(dispatch, "wake", lambda queue, count=1: told.append(queue)):
        cancel_run(second, house.actor)
    assert told == ["default"]
    assert (queued(first), states(child)) == ([False], ["R"])
    with worker_at_work(make_tools(sandbox)) as house.worker:
        assert house.end_of(first).state == "succeeded"
    assert Run.objects.filter(parent_run=first).count() == 1
    assert StepLog.objects.filter(run_id=child, node=0).count() == 1, "what had succeeded is not done again"
    assert (leftovers(first), leftovers(child), list(breaches())) == ({}, {}, [])


BY_CUSTOMER = {"$": "input.customer.lower()"}


def test_a_rerun_with_another_input_falls_under_the_limit_of_that_key(house: House) -> None:
    version = house.publish(limited(1, key=BY_CUSTOMER))
    ada, bob = house.start(version, {"customer": "Ada"}), house.start(version, {"customer": "Bob"})
    cancel_run(ada, house.actor)
    rerun_step(ada, "a", house.actor, input={"customer": "BOB"})
    assert queued(ada, bob) == [True, False]
    assert states(ada) == ["H"]
    another = house.start(version, {"customer": "Ada"})
    assert queued(another) == [False], "the key that it had is free"
    cancel_run(bob, house.actor)
    assert (queued(ada), states(ada)) == ([False], ["R"])
    assert list(breaches(everything=True)) == []


def test_a_rerun_with_another_input_replaces_under_the_new_key(house: House) -> None:
    version = house.publish(limited(1, "replace", key=BY_CUSTOMER))
    bob, ada = house.start(version, {"customer": "Bob"}), house.start(version, {"customer": "Ada"})
    cancel_run(ada, house.actor)
    rerun_step(ada, "a", house.actor, input={"customer": "Bob"})
    assert (state(bob), state(ada), queued(ada)) == ("cancelled", "running", [False])


def test_an_open_run_keeps_its_key(house: House) -> None:
    """It has a slot and may be at work: it cannot change the line it stands in."""
    version = house.publish(limited(1, key=BY_CUSTOMER))
    run_id = house.start(version, {"customer": "Ada"})
    Token.objects.filter(run_id=run_id).update(attempt=1)
    with pytest.raises(LimitDiffers, match="Cancel it first") as refused:
        rerun_step(run_id, "a", house.actor, input={"customer": "Bob"})
    assert (refused.value.error_code, refused.value.status) == ("limit_differs", 409)
    assert Run.objects.get(pk=run_id).input == {"customer": "Ada"}
    rerun_step(run_id, "a", house.actor, input={"customer": "ADA"})
    assert (queued(run_id), Run.objects.get(pk=run_id).input) == ([False], {"customer": "ADA"})


def test_an_input_without_a_key_repeats_nothing(house: House) -> None:
    version = house.publish(limited(1, key=BY_CUSTOMER))
    run_id = house.start(version, {"customer": "Ada"})
    cancel_run(run_id, house.actor)
    with pytest.raises(ExpressionFailed, match=r"settings\.concurrency\.key"):
        rerun_step(run_id, "a", house.actor, input={"customer": 1})
    assert (state(run_id), Run.objects.get(pk=run_id).generation) == ("cancelled", 0)


@pytest.mark.parametrize("removed", [False, True])
def test_a_rerun_by_the_newest_version_falls_under_its_limit(house: House, removed: bool) -> None:
    version = house.publish(limited(1, key=BY_CUSTOMER))
    ada, long = house.start(version, {"customer": "Ada"}), house.start(version, {"customer": "x" * 3_000})
    raw = document([FOREVER]) if removed else limited(2, key={"$": "input.customer[:1]"})
    publish_version(
        workflow=version.workflow, document=parse_document(raw), raw=raw, note="", actor=house.actor, kinds=KINDS
    )
    with pytest.raises(LimitDiffers):
        preview_rerun(ada, "a", house.actor, newest=True)
    for run_id, key in ((ada, "A"), (long, "x")):
        cancel_run(run_id, house.actor)
        assert preview_rerun(run_id, "a", house.actor, newest=True).version == 2
        rerun_step(run_id, "a", house.actor, newest=True)
        run = Run.objects.get(pk=run_id)
        expected = (None, None) if removed else (f'"{key}"', 2)
        assert (run.concurrency_key, run.concurrency_limit) == expected
    assert queued(ada, long) == [False, False]


def test_a_run_that_ended_in_the_queue_waits_for_nothing_under_a_version_without_a_limit(house: House) -> None:
    version = house.publish(limited(1))
    first, second = house.start(version), house.start(version)
    cancel_run(second, house.actor)
    raw = document([FOREVER])
    publish_version(
        workflow=version.workflow, document=parse_document(raw), raw=raw, note="", actor=house.actor, kinds=KINDS
    )
    rerun_step(second, "a", house.actor, newest=True)
    assert (queued(first, second), states(second)) == ([False, False], ["R"])
    assert list(breaches(everything=True)) == []
