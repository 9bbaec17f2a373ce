"""Steps that begin before the commit of the one before: which may, and what becomes of them when it does not come."""

import json
import threading
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import psycopg
import pytest

from orchestrator.core.compile import compile_plan
from orchestrator.core.document import DEFAULT_PORT
from orchestrator.core.outcome import Done
from orchestrator.core.parse import parse_document
from orchestrator.core.settle import Tries, settle
from orchestrator.engine.ahead import next_ahead
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import pause_run, resume_run
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step
from tests.engine.house import House, make_tools, worker_at_work
from tests.engine.kinds import Told, kinds
from tests.waiting import wait_until

PATIENCE = 20
HTTP = {"method": "GET", "url": "http://a.test/"}


def lease_of_a() -> Any:
    return SimpleNamespace(node=0, queue="default", lost=0, queue_limit_id=None, seen={0: ("a", None)})


@pytest.mark.parametrize(
    ("following", "may"),
    [
        ({}, True),
        ({"kind": "choose", "config": {"mode": "exclusive", "cases": []}}, True),
        ({"kind": "http", "config": HTTP}, False),  # acts on others
        ({"kind": "call", "config": {"function": "unknown", "arguments": {}}}, False),  # nobody knows what it does
        ({"queue": "elsewhere"}, False),  # another worker's
        ({"kind": "sub_workflow", "config": {"workflow": "w", "input": {}}}, False),  # starts a run
        ({"kind": "merge"}, True),  # of one branch: no gate
    ],
)
def test_only_a_step_whose_repetition_harms_nobody_begins_ahead(following: dict[str, Any], may: bool) -> None:
    plan = compile_plan(parse_document(document([step("a"), step("b", **following)], "a > b")), KINDS)
    settled = settle(plan, 0, Done("a"), Tries(attempt=1, spent=0.0, draw=0.5))
    lease = lease_of_a()
    assert next_ahead(KINDS, plan, lease, settled) == (1 if may else None)
    lease.lost = 1
    assert next_ahead(KINDS, plan, lease, settled) is None, (
        "workers died with it: its own commit shows that it did not kill"
    )
    lease.lost = 0
    lease.queue_limit_id = 1
    assert next_ahead(KINDS, plan, lease, settled) is None, "in a limited queue it takes its turn"
    lease.queue_limit_id = None
    lease.seen.clear()
    assert next_ahead(KINDS, plan, lease, settled) is None, "its input must be read from rows that are not there yet"


def test_a_join_never_begins_ahead() -> None:
    plan = compile_plan(parse_document(document([step("a"), step("b"), step("c", "merge")], "a > c", "b > c")), KINDS)
    settled = settle(plan, 0, Done("a", ports=(DEFAULT_PORT,)), Tries(attempt=1, spent=0.0, draw=0.5))
    lease = lease_of_a()
    assert settled.effects.signals
    assert next_ahead(KINDS, plan, lease, settled) is None


@pytest.mark.parametrize(
    ("epoch", "may"),
    [
        (7, True),  # every end before it is committed
        (5, True),  # two of them are on their way
        (4, False),  # more than it began ahead of
        (8, False),  # claimed anew, or moved on
        (None, False),  # taken from us
    ],
)
def test_a_token_on_its_way_is_not_taken_for_lost(epoch: int | None, may: bool) -> None:
    lease: Any = SimpleNamespace(epoch=7)
    assert Attempt(lease=lease, ahead=2).may_stand_at(epoch) is may


@pytest.mark.parametrize(
    ("epoch", "may"),
    [
        (7, True),  # read before its first call
        (9, True),  # its second call is stored, and perhaps not answered yet
        (10, False),  # claimed anew after it
        (6, False),  # before it was claimed
        (None, False),  # taken from us
    ],
)
def test_a_lane_that_stores_something_is_not_taken_for_lost(epoch: int | None, may: bool) -> None:
    lease: Any = SimpleNamespace(epoch=7)
    assert Attempt(lease=lease, calls=2).may_stand_at(epoch) is may


def test_a_pause_drops_what_ran_ahead_and_a_resume_runs_it(house: House, sandbox: Sandbox) -> None:
    ran_ahead, go_on = threading.Event(), threading.Event()
    calls: list[str] = []

    def answer(context: Any) -> Done:
        calls.append(context.step_key)
        if context.step_key == "b":
            ran_ahead.set()
        return Done(context.step_key)

    known = kinds(told=Told(answer))
    drawn = document([step("a", "told"), step("b", "told"), step("c", "told")], "a > b > c")
    version = house.publish(drawn, kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker:
        real, attempts = house.worker._committer._ask, house.worker._attempts

        def call(statement: str, text: str) -> Any:
            assert go_on.wait(PATIENCE)
            return real(statement, text)

        with patch.object(house.worker._committer, "_ask", call):
            run_id = house.start(version)
            assert ran_ahead.wait(PATIENCE)
            pause_run(run_id, house.actor)
            go_on.set()
            wait_until(lambda: Token.objects.filter(run_id=run_id, state="H", node=1).exists(), PATIENCE, "it to pause")
            wait_until(lambda: not attempts, PATIENCE, "what ran ahead to be dropped")
            assert list(StepLog.objects.filter(run_id=run_id).values_list("node", flat=True)) == [0]
            resume_run(run_id, house.actor)
            house.worker.poke()
            assert house.end_of(run_id).state == "succeeded"
    assert (calls.count("a"), calls.count("b")) == (1, 2)
    found = StepLog.objects.filter(run_id=run_id).order_by("entry").values_list("node", "outcome", "attempt")
    assert list(found) == [(0, "S", 1), (1, "S", 1), (2, "S", 1)]
    assert list(breaches()) == []


def test_a_refused_end_forgets_what_ran_ahead_of_it(house: House, sandbox: Sandbox) -> None:
    """It must hold its token meanwhile, or that would be given back as a stray, and run twice unseen."""
    ran_ahead = threading.Event()

    def answer(context: Any) -> Done:
        if context.step_key == "c":
            ran_ahead.set()
        return Done(context.step_key)

    known = kinds(told=Told(answer))
    steps = [step(key, "told") for key in "abc"]
    version = house.publish(document([*steps, step("d", "told")], "a > b > c", "b.error > d"), kinds=known)
    seen: list[tuple[int, set[int]]] = []
    with worker_at_work(make_tools(sandbox, known)) as house.worker:
        real, attempts = house.worker._committer._ask, house.worker._attempts

        def call(statement: str, text: str) -> Any:
            told = [item for item in json.loads(text) if item.get("n") == 1]
            if any(item["o"] == "S" for item in told):
                assert ran_ahead.wait(PATIENCE)
                raise psycopg.DataError("unforeseen")
            for item in told:
                attempt = attempts.at(item["t"])
                assert attempt is not None
                seen.append((attempt.lease.node, set(attempt.lease.seen)))
            return real(statement, text)

        with patch.object(house.worker._committer, "_ask", call):
            run_id = house.start(version)
            assert house.end_of(run_id).state == "succeeded"
    assert seen == [(1, {1})]
    found = StepLog.objects.filter(run_id=run_id).order_by("entry").values_list("node", "outcome", "error__code")
    assert list(found) == [(0, "S", None), (1, "F", "output_invalid"), (3, "S", None)]
    assert list(breaches()) == []
