"""Retry and rerun around containers: a failed one goes on inside; what it left behind ends."""

from typing import Any

import pytest
from django.db.models.functions import Now

from orchestrator.engine import statements
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Scope, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run
from orchestrator.services.reopen import retry_run
from orchestrator.services.rerun import rerun_step
from orchestrator.services.skip import skip_step
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers, output
from tests.engine.kinds import Told, kinds
from tests.engine.rows import rows
from tests.engine.switched import Switch, again, at_work, ended, fails, told
from tests.waiting import wait_until


def test_a_failed_container_goes_on_inside(house: House, sandbox: Sandbox) -> None:
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    steps = [told("first"), step("box", "scope"), told("a", parent="box"), told("b", parent="box"), told("last")]
    version = house.publish(document(steps, "first > box > last", "a > b"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
        switch.answers.clear()
        again(house, lambda: retry_run(run_id, house.actor))
        run = ended(house, run_id, "succeeded")
    assert output(run) == "last"
    assert (switch.attempts("first"), switch.attempts("last")) == ([1], [1])
    assert (switch.attempts("a"), switch.attempts("b")) == ([1], [1, 2])
    assert Scope.objects.filter(run_id=run_id).count() == 1


def test_a_rerun_ends_what_stands_inside(house: House, sandbox: Sandbox) -> None:
    switch = Switch()
    known = kinds(told=Told(switch))
    wait = step("wait", "delay", parent="box", config={"for": "PT10M"})
    version = house.publish(document([told("first"), step("box", "scope"), wait], "first > box"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        inside = Token.objects.filter(run_id=run_id, state="W").exclude(scope_id=0)
        wait_until(inside.exists, 10, "the delay inside")
        old = inside.get().pk
        again(house, lambda: rerun_step(run_id, "first", house.actor))
        wait_until(inside.exclude(pk=old).exists, 10, "the delay inside, again")
        assert not Token.objects.filter(pk=old).exists()
        again(house, lambda: skip_step(run_id, "box", house.actor, output=5))
        assert output(ended(house, run_id, "succeeded")) == 5
    assert list(breaches()) == []


def test_a_scope_with_a_lock_goes_on_inside_once_it_has_the_lock_again(house: House, sandbox: Sandbox) -> None:
    """Two scopes of one lock have failed; each keeps what had succeeded in it, and they take turns again."""
    switch = Switch(b=fails, d=fails)
    known = kinds(told=Told(switch))
    lock = {"config": {"lock": "bench"}}
    steps = [
        step("left", "scope", **lock),
        step("right", "scope", **lock),
        step("z", "merge", join={"on_branch_failure": "finish"}),
    ]
    steps += [told("a", parent="left"), told("b", parent="left"), told("c", parent="right"), told("d", parent="right")]
    version = house.publish(document(steps, "a > b", "c > d", "left > z", "right > z"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
    retry_run(run_id, house.actor)
    assert Scope.objects.filter(run_id=run_id, state="O").count() == 0
    waiting = Token.objects.filter(run_id=run_id, state="W")
    assert {token.waiting and token.waiting["text"] for token in waiting} == {'Waiting for its turn at "bench"'}
    assert list(breaches()) == []
    switch.answers.clear()
    with at_work(house, sandbox, known):
        ended(house, run_id, "succeeded")
    assert {key: switch.attempts(key) for key in "abcd"} == {"a": [1], "b": [1, 2], "c": [1], "d": [1, 2]}
    assert Scope.objects.filter(run_id=run_id).count() == 2
    keys = version.plan["keys"]
    rows = StepLog.objects.filter(run_id=run_id, outcome="S", node__in=[keys.index("b"), keys.index("d")])
    spans: list[Any] = sorted(rows.values_list("started_at", "finished_at"))
    assert spans[0][1] <= spans[1][0]
    assert list(breaches()) == []


def test_a_sweep_spares_what_was_retried_in_a_scope_that_waits_for_its_lock(house: House, sandbox: Sandbox) -> None:
    """Something had been left in the scope when it closed, and nobody has swept since."""
    known = kinds(told=Told(Switch(b=fails)))
    version = house.publish(
        document([step("box", "scope", config={"lock": "bench"}), told("b", parent="box")]), kinds=known
    )
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
    Scope.objects.filter(run_id=run_id).update(draining_since=Now())
    retry_run(run_id, house.actor)
    assert rows(statements.DRAIN_SCOPES, 0, 100) == []
    assert Token.objects.filter(run_id=run_id, state="W").exclude(scope_id=0).count() == 1
    assert list(breaches()) == []


@pytest.mark.parametrize(
    ("undo", "attempts"),
    [
        ({"kind": "transform", "config": {"value": 1}}, [1, 1]),  # undone: done again, under a new key
        (None, [1]),  # what cannot be undone still stands
    ],
)
@pytest.mark.parametrize("lock", [{}, {"lock": "bench"}])
def test_a_scope_whose_steps_were_undone_begins_anew(
    house: House, sandbox: Sandbox, undo: Any, attempts: list[int], lock: dict[str, str]
) -> None:
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    a = told("a", parent="box") | ({} if undo is None else {"undo": undo})
    steps = [step("box", "scope", config={"on_failure": "undo", **lock}), a, told("b", parent="box")]
    version = house.publish(document(steps, "a > b"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
        switch.answers.clear()
        again(house, lambda: retry_run(run_id, house.actor))
        ended(house, run_id, "succeeded")
    assert switch.attempts("a") == attempts
    assert len(switch.keys("a")) == len(attempts)
    assert list(breaches()) == []


def test_a_retried_scope_that_waits_for_its_lock_may_be_cancelled_and_retried(house: House, sandbox: Sandbox) -> None:
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    steps = [step("box", "scope", config={"lock": "bench"}), told("a", parent="box"), told("b", parent="box")]
    version = house.publish(document(steps, "a > b"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
    retry_run(run_id, house.actor)
    cancel_run(run_id, house.actor)
    assert leftovers(run_id) == {}
    assert list(breaches()) == []
    with at_work(house, sandbox, known):
        second = ended(house, house.start(version), "failed").pk
        switch.answers.clear()
        again(house, lambda: retry_run(second, house.actor))
        ended(house, second, "succeeded")
    assert list(breaches()) == []
