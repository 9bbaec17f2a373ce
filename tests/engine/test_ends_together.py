"""Ends of many branches in one call are written together, exactly as they would be one by one, under the same fence."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import F

import orchestrator.sql
from orchestrator.core.outcome import Done, Fail, Outcome, StepFault
from orchestrator.core.plan_json import plan_from_json
from orchestrator.core.settle import Tries, settle
from orchestrator.engine import items, statements
from orchestrator.engine.lease import Lease, leases_of
from orchestrator.models import Gate, Run, StepLog, Token, Version
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run, pause_run
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.kinds import Told, kinds
from tests.engine.rows import beat, claim, rows

SQL = Path(orchestrator.sql.__file__).with_name("advance.sql").read_text()
TOGETHER = "IF v_n >= 4 THEN"
ARRIVALS = """
SELECT gate, edge, entry - %s AS place, outcome, late FROM orchestrator_gate_arrival WHERE run_id = %s ORDER BY 1, 2
"""
A, B = 11, 22
WIDTH = 6
BAD = StepFault(code="bad", message="It did not work.", details={"why": ["no", 1]})
OUTCOMES: dict[str, list[Outcome]] = {
    "all succeed": [Done(number) for number in range(WIDTH)],
    "nothing, null and much": [Done(None), Done({}), Done("x" * 20_000), Done([None]), Done(False), Done("\u20ac")],
    "the first fails": [Fail(BAD), *[Done(number) for number in range(WIDTH - 1)]],
    "all fail": [Fail(BAD)] * WIDTH,
}


@contextmanager
def rewritten(old: str, new: str) -> Iterator[None]:
    """The advance of the database with other words, inside the block."""
    assert SQL.count(old) == 1, "it is written differently now: adapt this"
    try:
        with connection.cursor() as cursor:
            cursor.execute(SQL.replace(old, new).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(SQL.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))


def branches(house: House, join: dict[str, Any]) -> Version:
    """Steps that start by themselves and meet at `z`."""
    keys = [f"b{number}" for number in range(WIDTH)]
    steps = [*(step(key) for key in keys), step("z", "merge", join=join)]
    return house.publish(document(steps, *(f"{key} > z" for key in keys)), kinds=kinds(told=Told(Done)))


def leases(session: int, count: int = WIDTH) -> list[Lease]:
    beat(session)
    found = sorted(claim(session, count), key=lambda row: row["id"])
    assert len(found) == count
    return leases_of(found)


def ending(version: Version, lease: Lease, outcome: Outcome) -> dict[str, Any]:
    """What a worker makes of it."""
    plan = plan_from_json(version.plan)
    settled = settle(plan, lease.node, outcome, Tries(attempt=3, spent=0.0, draw=0.5))
    log: Any = [{"at": "2026-11-26T00:00:00+00:00", "level": "info", "text": "hello"}] if lease.node % 2 else []
    return items.build_item(plan, lease, settled, config={"value": lease.node}, log=log)


def advance(session: int, *made: dict[str, Any]) -> list[dict[str, Any]]:
    return rows(statements.ADVANCE, session, json.dumps(made))


def picture(run_id: UUID) -> list[Any]:
    """Every row of the run, without what differs between any two runs."""
    first = StepLog.objects.filter(run_id=run_id).order_by("entry").values_list("entry", flat=True).first() or 0
    log = StepLog.objects.filter(run_id=run_id).order_by("entry").annotate(place=F("entry") - first)
    shown = log.values_list(
        *("place", "node", "scope_id", "generation", "attempt", "outcome", "final", "ports", "session_id"),
        *("input", "output", "output_ref", "error", "log"),
    )
    gates = (
        Gate.objects.filter(run_id=run_id)
        .order_by("gate")
        .values_list("gate", "ok", "skip", "fail", "verdict", "decided")
    )
    tokens = Token.objects.filter(run_id=run_id).values_list("node", "state", "epoch", "attempt", "queue")
    arrivals = rows(ARRIVALS, first, run_id)
    lines = [tuple(value is not None if isinstance(value, UUID) else value for value in line) for line in shown]
    run = Run.objects.values_list("state", "error").get(pk=run_id)
    return [lines, list(gates), list(tokens), arrivals, run]


@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize(
    "join", [{"mode": "all"}, {"mode": "quorum", "quorum": 2}, {"mode": "all", "tolerate": {"count": 2}}]
)
def test_together_is_the_same_as_one_by_one(house: House, name: str, join: dict[str, Any]) -> None:
    version = branches(house, join)

    def played() -> tuple[list[Any], list[Any]]:
        run_id = house.start(version)
        made = [ending(version, lease, outcome) for lease, outcome in zip(leases(A), OUTCOMES[name], strict=True)]
        payloads = any("pay" in item for item in made)
        assert payloads == (name == "nothing, null and much")
        first = made[0]["t"]
        answers = [
            (row["token_id"] and row["token_id"] - first, row["status"], row["node"], row["epoch"], row["queues"])
            for row in advance(A, *made)
        ]
        seen = picture(run_id)
        Token.objects.all().delete()
        return answers, seen

    together = played()
    with rewritten(TOGETHER, "IF false THEN"):
        assert played() == together
    assert {"fenced", "cancelled"}.isdisjoint(answer[1] for answer in together[0])
    assert len(together[1][0]) >= WIDTH


def taken_over(house: House) -> None:
    """One of them is somebody else's by now."""
    version = branches(house, {"mode": "all"})
    run_id = house.start(version)
    mine = leases(A)
    made = [ending(version, lease, Done(1)) for lease in mine]
    lost = Token.objects.filter(pk=mine[2].token_id)
    lost.update(session_id=B, epoch=F("epoch") + 1)
    assert sorted(row["status"] for row in advance(A, *made)) == ["fenced"] + ["parked"] * 5
    assert StepLog.objects.filter(run_id=run_id).count() == WIDTH - 1
    assert lost.exists()


def issued_twice(house: House) -> None:
    """A crash of PostgreSQL forgot the claim: another session got the same epochs."""
    version = branches(house, {"mode": "all"})
    run_id = house.start(version)
    made = [ending(version, lease, Done(1)) for lease in leases(A)]
    Token.objects.filter(run_id=run_id).update(session_id=B)
    assert {row["status"] for row in advance(A, *made)} == {"fenced"}
    assert not StepLog.objects.filter(run_id=run_id).exists()


def came_back(house: House) -> None:
    """All of them were taken over, and are in the same session's hands again."""
    version = branches(house, {"mode": "all"})
    run_id = house.start(version)
    made = [ending(version, lease, Done(1)) for lease in leases(A)]
    Token.objects.filter(run_id=run_id).update(epoch=F("epoch") + 2)
    assert {row["status"] for row in advance(A, *made)} == {"fenced"}
    assert not StepLog.objects.filter(run_id=run_id).exists()


def elsewhere(house: House) -> None:
    """They were made for steps at which the tokens do not stand."""
    version = branches(house, {"mode": "all"})
    run_id = house.start(version)
    made = [ending(version, lease, Done(1)) for lease in leases(A)]
    Token.objects.filter(run_id=run_id).update(node=WIDTH)
    assert {row["status"] for row in advance(A, *made)} == {"fenced"}
    assert not StepLog.objects.filter(run_id=run_id).exists()


SCENES = [taken_over, issued_twice, came_back, elsewhere]
MUTANTS = {
    "no fence": (" AND k.session_id = p_session AND k.epoch = x.e AND k.node = x.n AND k.state || '' = 'L'\n", "\n"),
    "epoch only": ("k.id = x.t AND k.session_id = p_session AND", "k.id = x.t AND"),
    "session only": ("AND k.epoch = x.e AND", "AND"),
    "any node": (" AND k.node = x.n", ""),
}


@pytest.mark.parametrize("scene", SCENES)
def test_the_fence_is_the_same(house: House, scene: Callable[[House], None]) -> None:
    scene(house)


@pytest.mark.parametrize("name", MUTANTS)
def test_these_scenes_catch_a_broken_fence(house: House, name: str) -> None:
    """A test of the tests: with a mutant, at least one scene must fail."""
    caught = []
    with rewritten(*MUTANTS[name]):
        for scene in SCENES:
            try:
                scene(house)
            except Exception:
                caught.append(scene.__name__)
            Token.objects.all().delete()
    assert caught


def test_a_paused_run_holds_and_a_cancelled_one_ends(house: House) -> None:
    version = branches(house, {"mode": "quorum", "quorum": WIDTH})
    paused, cancelled = house.start(version), house.start(version)
    mine = leases(A, 2 * WIDTH)
    pause_run(paused, house.actor)
    cancel_run(cancelled, house.actor)
    for run_id, statuses in ((paused, {"held", "parked"}), (cancelled, {"cancelled"})):
        made = [ending(version, lease, Done(1)) for lease in mine if lease.run.run_id == run_id]
        assert {row["status"] for row in advance(A, *made)} <= statuses
        assert StepLog.objects.filter(run_id=run_id, outcome="S").count() == WIDTH


def test_ends_of_two_runs_and_in_any_order(house: House) -> None:
    version = branches(house, {"mode": "all"})
    runs = [house.start(version), house.start(version)]
    made = [ending(version, lease, Done(lease.node)) for lease in leases(A, 2 * WIDTH)]
    assert {row["status"] for row in advance(A, *made[::-1]) if row["token_id"]} == {"parked", "moved"}
    for run_id in runs:
        given = StepLog.objects.filter(run_id=run_id).order_by("node").values_list("node", "output")
        assert list(given) == [(number, number) for number in range(WIDTH)]
    assert list(breaches()) == []
