"""After a retry the time-out of a container, or of a sub-workflow step, counts anew."""

from typing import Any
from uuid import UUID

import pytest
from django.db.models.functions import Now

from orchestrator.core.states import AttemptOutcome
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run
from orchestrator.services.reopen import retry_run
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.kinds import Told, kinds
from tests.engine.switched import Switch, again, at_work, ended, fails, told
from tests.waiting import wait_until

INSIDE = [told("flaky", parent="box"), step("long", "delay", parent="box", config={"for": "PT1H"})]
TURNS = {"until": {"$": "True"}, "turns": 3}
EACH = {"items": [1]}


def limits(run_id: UUID) -> list[float]:
    """Seconds that each token of a container, or a sub-workflow step, has left, by now."""
    waiting = Token.objects.filter(run_id=run_id, state="W", waiting__kind__in=("body", "items", "child"), phase=1)
    return [(token.wake_at - token.now).total_seconds() for token in waiting.annotate(now=Now()) if token.wake_at]


@pytest.mark.parametrize(
    "box",
    [
        step("box", "scope", timeout="PT10M"),
        step("box", "repeat", timeout="PT10M", config=TURNS),
        step("box", "for_each", timeout="PT10M", config=EACH),
    ],
)
def test_of_a_container(house: House, sandbox: Sandbox, box: dict[str, Any]) -> None:
    known = kinds(told=Told(Switch(flaky=fails)))
    version = house.publish(document([box, *INSIDE], "flaky > long"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
    retry_run(run_id, house.actor)
    (left,) = limits(run_id)
    assert 500 < left <= 600
    assert list(breaches()) == []


def test_of_a_sub_workflow_step(house: House, sandbox: Sandbox) -> None:
    known = kinds(told=Told(Switch(flaky=fails)))
    house.publish(document([told("flaky")]), slug="child", kinds=known)
    sub = step("sub", "sub_workflow", timeout="PT10M", config={"workflow": "child"})
    version = house.publish(document([sub]), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
    retry_run(run_id, house.actor)
    (left,) = limits(run_id)
    assert 500 < left <= 600


def test_it_ends_the_container(house: House, sandbox: Sandbox) -> None:
    switch = Switch(flaky=fails)
    known = kinds(told=Told(switch))
    box = step("box", "scope", timeout="PT1S")
    version = house.publish(document([box, *INSIDE], "flaky > long"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
        switch.answers.clear()
        again(house, lambda: retry_run(run_id, house.actor))
        ended(house, run_id, "failed")
    last = StepLog.objects.filter(run_id=run_id, node=version.plan["keys"].index("box")).latest("entry")
    assert (last.outcome, switch.attempts("flaky")) == (AttemptOutcome.TIMEOUT, [1, 2])
    assert list(breaches()) == []


def test_it_does_not_count_while_the_run_is_queued(house: House, sandbox: Sandbox) -> None:
    known = kinds(told=Told(Switch(flaky=fails)))
    concurrency = {"limit": 1, "on_limit": "queue", "key": {"$": "'all'"}}
    box = step("box", "scope", timeout="PT10M")
    raw = document([box, *INSIDE], "flaky > long", settings={"concurrency": concurrency})
    version = house.publish(raw, kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
    other = house.start(version)
    retry_run(run_id, house.actor)
    assert (Run.objects.get(pk=run_id).queued, limits(run_id)) == (True, [])
    cancel_run(other, house.actor)
    (left,) = limits(run_id)
    assert 500 < left <= 600


def test_it_does_not_count_while_an_item_waits_for_its_turn(house: House, sandbox: Sandbox) -> None:
    switch = Switch(flaky=fails)
    known = kinds(told=Told(switch))
    each = step("each", "for_each", config={"items": [1, 2], "parallel": 1, "tolerate": {"count": 1}})
    box = step("box", "scope", parent="each", timeout="PT10M")
    long = step("long", "delay", parent="box", config={"for": {"$": "'PT0S' if item == 1 else 'PT1H'"}})
    version = house.publish(document([each, box, INSIDE[0], long], "flaky > long"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        ended(house, run_id, "failed")
    switch.answers.clear()
    retry_run(run_id, house.actor)
    (left,) = limits(run_id)
    assert 500 < left <= 600
    first = Token.objects.get(run_id=run_id, wake_at__isnull=False).pk
    with at_work(house, sandbox, known):
        in_its_turn = Token.objects.filter(run_id=run_id, waiting__kind="time")
        wait_until(in_its_turn.exists, 10, "the delay of the second item")
    assert not Token.objects.filter(pk=first).exists()
    (left,) = limits(run_id)
    assert 500 < left <= 600
