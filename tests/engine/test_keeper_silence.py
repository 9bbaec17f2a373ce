"""A host that stands still, or was cut off, keeps its connections open: it must not keep its locks."""

from typing import Any

import pytest
from django.db import connection

from orchestrator.engine import keeper as keepers
from orchestrator.engine.database import connect
from orchestrator.engine.keeper import Keeper
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Token
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, make_tools, worker_at_work
from tests.waiting import wait_until

SHOWN = "SHOW idle_in_transaction_session_timeout"


def silent(**more: Any) -> Keeper:
    """A keeper that says nothing until it is told to start."""
    return Keeper(lambda run_id: None, wake=lambda queue, count: None, **more)


def test_another_keeper_acts_while_the_first_stands_still(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepers, "LEAST_SILENCE", 0.5)
    version = house.publish(document([step("a", "delay", config={"for": "PT0.2S"})]))
    first = silent(ttl=0.5)
    wait_until(first._is_mine, 20, "the first keeper to hold the lock")
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke) as second:
        run_id = house.start(version)
        wait_until(lambda: second._mine, 20, "the second keeper to act")
        assert house.end_of(run_id).state == "succeeded"
        first.start()
        try:
            wait_until(lambda: not first._mine, 10, "the first keeper to hear that it has lost the lock")
            assert house.end_of(house.start(version)).state == "succeeded"
            assert second._mine
            assert first._thread.is_alive()
        finally:
            first.stop()
    assert not Token.objects.exists()


def test_a_keeper_at_work_is_never_silent_for_that_long(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for the next timer a few times a second, also while there is nothing to do."""
    monkeypatch.setattr(keepers, "LEAST_SILENCE", 2.0)
    with keeper_at_work(lambda: None, ttl=0.0) as keeper:
        wait_until(lambda: keeper._mine, 20, "the keeper to act")
        opened = keeper._connection
        sweeps: list[None] = []
        monkeypatch.setattr(keeper, "_beat", lambda: sweeps.append(None))
        wait_until(lambda: len(sweeps) >= 4, 20, "some sweeps, one each second")
        assert keeper._connection is opened


def test_no_door_to_the_database_leaves_a_transaction_open_for_ever(transactional_db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SHOWN)
        assert cursor.fetchone() == ("1min",)
    with connect("test") as own:
        [shown] = own.execute(SHOWN).fetchall()
    assert list(shown.values()) == ["1min"]
