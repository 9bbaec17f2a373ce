"""Retry and rerun around containers: a container begins anew, in a scope of its own; what it left behind ends."""

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Scope, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.reopen import StepInside, retry_run, retry_step
from orchestrator.services.rerun import rerun_step
from orchestrator.services.skip import skip_step
from tests.engine.drawings import document, step
from tests.engine.house import House, output
from tests.engine.kinds import Told, kinds
from tests.engine.test_retry_run import Switch, again, at_work, ended, fails, told
from tests.waiting import wait_until


def test_a_failed_container_goes_on_inside(house: House, sandbox: Sandbox) -> None:
    switch = Switch(b=fails)
    known = kinds(told=Told(switch))
    steps = [told("first"), step("box", "scope"), told("a", parent="box"), told("b", parent="box"), told("last")]
    version = house.publish(document(steps, "first > box > last", "a > b"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
        for change in (retry_step, rerun_step, skip_step):
            with pytest.raises(StepInside, match='Choose "box"'):
                change(run_id, "b", house.actor)
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
