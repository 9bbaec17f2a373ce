"""The keeper fires timers only when its look says that one is due, and each second whatever that says."""

import pytest
from django.utils import timezone

from orchestrator.engine.keeper import TICK, Keeper
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Token
from tests.engine.drawings import document, step
from tests.engine.house import House, make_tools, worker_at_work
from tests.engine.rows import own_connection
from tests.waiting import wait_until


def nothing(*_: object, **__: object) -> None: ...


class Kept(Keeper):
    """Counts how often timers are fired."""

    def __init__(self) -> None:
        super().__init__(nothing, wake=nothing, notify=nothing, announce=nothing)
        self.fired = 0

    def _fire_timers(self) -> None:
        self.fired += 1
        super()._fire_timers()


@pytest.fixture
def token(house: House, sandbox: Sandbox) -> Token:
    """One that waits for an hour."""
    run_id = house.start(house.publish(document([step("a", "delay", config={"for": "PT1H"})])))
    with worker_at_work(make_tools(sandbox)):
        waiting = Token.objects.filter(run_id=run_id, state="W")
        wait_until(waiting.exists, 20, "the step to wait")
        return waiting.get()


def test_timers_are_fired_when_one_is_due(token: Token) -> None:
    keeper = Kept()
    with own_connection() as keeper._connection:
        assert keeper._see_to_timers(anyway=False) == TICK
        assert keeper.fired == 0, "none is due"
        keeper._see_to_timers(anyway=True)
        assert keeper.fired == 1
        Token.objects.filter(pk=token.pk).update(wake_at=timezone.now())
        assert keeper._see_to_timers(anyway=False) == TICK, "nothing else is due"
        assert keeper.fired == 2
    assert Token.objects.get(pk=token.pk).state == "R"
