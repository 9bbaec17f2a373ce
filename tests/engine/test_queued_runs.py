"""A queued run begins nothing, whatever happens in it: what becomes ready is held until it has its slot."""

import json
from typing import Any
from uuid import UUID

import pytest
from django.db.models.functions import Now

from orchestrator.engine import statements
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Gate, Run, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run, pause_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.runs import settle_limit
from orchestrator.services.skip import skip_step
from tests.engine.drawings import document, edges, step
from tests.engine.house import House, leftovers, make_tools, worker_at_work
from tests.engine.limited import FOREVER, limited, queued, states
from tests.engine.rows import claim, rows
from tests.harness.mutants import mutated
from tests.harness.test_interleaved import at_the_same_time


def failed_beside_one_at_work(house: House, sandbox: Sandbox, raw: dict[str, Any]) -> tuple[UUID, UUID]:
    """A run that has failed under a limit of one, and another that has its slot now."""
    version = house.publish(raw)
    with worker_at_work(make_tools(sandbox)) as house.worker:
        first = house.start(version)
        assert house.end_of(first).state == "failed"
    house.worker = None
    return first, house.start(version)


FAILS = step("a", config={"value": {"$": "1 / 0"}})


def test_a_run_whose_failed_step_is_skipped_waits_for_a_slot(house: House, sandbox: Sandbox) -> None:
    raw = limited(1, "queue", FAILS, step("b"), step("c")) | {"edges": edges("a > b", "a > c")}
    first, second = failed_beside_one_at_work(house, sandbox, raw)
    skip_step(first, "a", house.actor, output=1)
    assert (queued(first, second), states(first)) == ([True, False], ["H", "H"])
    assert list(breaches()) == []
    cancel_run(second, house.actor)
    assert (queued(first), states(first)) == ([False], ["R", "R"])
    with worker_at_work(make_tools(sandbox)) as house.worker:
        assert house.end_of(first).state == "succeeded"
    assert (leftovers(first), list(breaches())) == ({}, [])


def test_a_run_whose_last_step_is_skipped_ends_when_it_has_a_slot(house: House, sandbox: Sandbox) -> None:
    first, second = failed_beside_one_at_work(house, sandbox, limited(1, "queue", FAILS))
    skip_step(first, "a", house.actor, output=1)
    assert (queued(first), states(first), list(breaches())) == ([True], ["H"], [])
    cancel_run(second, house.actor)
    with worker_at_work(make_tools(sandbox)) as house.worker:
        assert house.end_of(first).state == "succeeded"


def test_a_skip_does_not_let_a_queued_run_begin(house: House) -> None:
    raw = limited(1, "queue", FOREVER, step("b")) | {"edges": edges("a > b")}
    version = house.publish(raw)
    first, second = house.start(version), house.start(version)
    skip_step(second, "a", house.actor, output=1)
    assert (queued(first, second), states(second)) == ([False, True], ["H"])
    assert list(breaches()) == []
    cancel_run(first, house.actor)
    assert states(second) == ["R"]


def test_a_join_whose_deadline_passes_in_a_queued_run_holds_what_it_starts(house: House, sandbox: Sandbox) -> None:
    join = {"deadline": "PT10M", "on_deadline": "proceed", "on_branch_failure": "finish"}
    raw = limited(1, "queue", step("quick"), FAILS, step("meet", "merge", join=join))
    raw |= {"edges": edges("quick > meet", "a > meet")}
    first, second = failed_beside_one_at_work(house, sandbox, raw)
    retry_run(first, house.actor)
    assert (queued(first), states(first)) == ([True], ["H"])
    assert Gate.objects.filter(run_id=first, node=2, verdict="O").update(deadline_at=Now()) == 1
    rows(statements.FIRE_GATES, 100)
    assert states(first) == ["H", "H"]
    assert list(breaches()) == []
    cancel_run(second, house.actor)
    assert states(first) == ["R", "R"]


def child_in_line(house: House, sandbox: Sandbox) -> tuple[UUID, UUID, UUID]:
    """A retried run that waits for its slot, its sub-workflow, and the run that has the slot."""
    raw = document([step("a", config={"value": {"$": "1 / 0"}})])
    house.publish(raw, "child").workflow.refresh_from_db()
    call = step("call", "sub_workflow", config={"workflow": "child", "input": {}})
    first, second = failed_beside_one_at_work(house, sandbox, limited(1, "queue", call))
    retry_run(first, house.actor)
    return first, Run.objects.get(parent_run=first).pk, second


def test_a_step_that_its_sub_workflow_wakes_in_a_queued_run_is_held(house: House, sandbox: Sandbox) -> None:
    first, child, second = child_in_line(house, sandbox)
    cancel_run(child, house.actor)
    assert states(first) == ["R"]
    assert {lease["run_id"] for lease in claim(1, 10)} == {second}
    assert (queued(first), states(first), list(breaches())) == ([True], ["H"], [])
    Token.objects.filter(run_id=second).update(state="R", session_id=None)
    cancel_run(second, house.actor)
    assert states(first) == ["R"]


Call = tuple[Any, ...]


def control(run_id: UUID, letter: str, kind: str) -> Call:
    closing = json.dumps({"state": "cancelled"}) if letter == "C" else None
    return statements.SET_CONTROL, run_id, letter, closing, "tester", kind, "{}"


def both_at_once(house: House, sandbox: Sandbox, *, resumed_first: bool) -> UUID:
    """The sub-workflow of a queued run is resumed while that run gets its slot. Returns the sub-workflow's run."""
    first, child, second = child_in_line(house, sandbox)
    pause_run(child, house.actor)
    calls = [control(child, "-", "resumed"), control(second, "C", "cancel_requested")]
    with at_the_same_time(*(calls if resumed_first else reversed(calls))) as (_, _, state):
        assert state == "done", "neither waits for the other"
    settle_limit(Run.objects.get(pk=first).workflow_id, "")
    assert queued(first) == [False]
    return child


@pytest.mark.parametrize("resumed_first", [True, False])
def test_what_is_resumed_while_its_run_leaves_the_line_goes_on(
    house: House, sandbox: Sandbox, resumed_first: bool
) -> None:
    assert states(both_at_once(house, sandbox, resumed_first=resumed_first)) == ["R"]
    assert list(breaches()) == []


@pytest.mark.parametrize("resumed_first", [True, False])
def test_without_the_lock_on_its_place_it_is_held_for_ever(house: House, sandbox: Sandbox, resumed_first: bool) -> None:
    with mutated("branchline_kept_in_line", ("FOR KEY SHARE SKIP LOCKED", "")):
        assert states(both_at_once(house, sandbox, resumed_first=resumed_first)) == ["H"]
    assert {breach.invariant.name for breach in breaches()} == {"I4 only a pause holds"}


def test_a_claim_leaves_a_step_whose_run_is_just_leaving_the_line(house: House, sandbox: Sandbox) -> None:
    first, child, second = child_in_line(house, sandbox)
    Token.objects.filter(run_id=child).update(state="R")  # as a timer in it would
    with at_the_same_time(control(second, "C", "cancel_requested"), (statements.CLAIM, 1, ["default"], 10, True)) as (
        _,
        other,
        _,
    ):
        assert other.rows == []
    assert (queued(first), states(child)) == ([False], ["R"])
    assert {lease["run_id"] for lease in claim(2, 10)} == {child}
