"""What a worker node changes in Celery, and would rather not."""

import gc
import sys
from functools import partial
from types import SimpleNamespace
from typing import Any

import billiard.pool
import pytest
from celery.fixups.django import DjangoWorkerFixup
from django.conf import settings
from django.db import connections
from django.utils import timezone

from orchestrator.models import Run
from orchestrator.project import node
from orchestrator.project.celery import app
from orchestrator.project.inspector import Inspector
from orchestrator.project.node import without_pools
from tests.engine.drawings import document, step
from tests.engine.house import make_house
from tests.waiting import wait_until


def test_celery_finds_no_pool_to_close_under_the_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES["default"]["OPTIONS"], "pool", {"max_size": 2})
    closed: list[str] = []
    wrapper: Any = type(connections["default"])
    monkeypatch.setattr(wrapper, "close", lambda self: None)
    monkeypatch.setattr(wrapper, "close_pool", lambda self: closed.append(self.alias))
    celery = DjangoWorkerFixup(app)
    celery.worker = SimpleNamespace(pool_cls="prefork")
    celery.close_database()
    assert closed == ["default"], "Celery closes pools no more: `without_pools` can go"
    without_pools(settings.DATABASES)
    celery.close_database()
    assert closed == ["default"]


def test_a_node_checks_the_invariants_and_sweeps_beside_its_pool(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house = make_house()
    version = house.publish(document([step("a")], settings={"deadline": "PT0.1S"}))
    broken = house.start(version)
    Run.objects.filter(pk=broken).update(state="succeeded", finished_at=timezone.now())  # and its token stays
    monkeypatch.setattr(node, "Inspector", partial(Inspector, pace=0.05))
    monkeypatch.setattr(node.Beat, "_run", lambda self, parent: None)  # the beats themselves go on until a process ends
    parent: Any = SimpleNamespace(pool=None, steps=[])
    beside = node.Beat(parent)
    beside.start(parent)
    try:
        overdue = house.start(version)
        wait_until(lambda: f"{broken}" in caplog.text and "an invariant is broken" in caplog.text, 20, "the fault")
        assert house.end_of(overdue).state == "failed"
    finally:
        beside.stop(parent)


def test_an_ending_pool_process_does_not_wait_for_a_parent_that_reads_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(billiard.pool.time, "sleep", slept.append)
    child: Any = SimpleNamespace(on_ready_counter=SimpleNamespace(value=0))
    assert not billiard.pool.Worker._ensure_messages_consumed(child, completed=1)
    assert 0 < sum(slept) < 1


def test_a_pool_process_listens_for_pokes_and_collects_what_it_loaded_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def made(name: str) -> Any:
        def make(*given: Any, **_: Any) -> Any:
            calls.append((name, given))
            return SimpleNamespace(start=lambda: calls.append((name, "start")), look=calls)

        return make

    monkeypatch.setattr(node, "Worker", made("worker"))
    monkeypatch.setattr(node, "Listener", made("listener"))
    monkeypatch.setattr(node, "telemetry", SimpleNamespace(start=lambda: None))
    monkeypatch.setattr(node, "connections", SimpleNamespace(close_all=lambda: calls.append("closed")))
    monkeypatch.setattr(node, "_worker", None)
    monkeypatch.setattr(node, "_listener", None)
    thresholds, turn = gc.get_threshold(), sys.getswitchinterval()
    try:
        node.begin()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() == node.RARELY
        assert sys.getswitchinterval() == pytest.approx(node.TURN)
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(turn)
    assert calls[0] == "closed"
    assert calls[2] == ("worker", "start")
    assert calls[3] == ("listener", (node.QUEUES, calls))  # what hears of a poke claims by itself
    assert calls[4] == ("listener", "start")
