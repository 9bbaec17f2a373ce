"""The fence: who lost a token can no longer move it. Each mutant of the fence must be caught by the same scenes."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

import orchestrator.sql
from orchestrator.engine import statements
from orchestrator.engine.committer import Committer, _Entry
from orchestrator.models import Run, StepLog, Token
from orchestrator.services.control import pause_run, resume_run
from tests.engine.drawings import document, step
from tests.engine.house import House

SQL = Path(orchestrator.sql.__file__).with_name("advance.sql").read_text()
FENCE = """WHERE k.id = (i->>'t')::bigint AND k.session_id = p_session AND k.epoch = (i->>'e')::int
                AND k.node = coalesce((i->>'n')::int, k.node) AND k.state || '' = 'L' FOR UPDATE"""
MUTANTS = {
    "no fence": "WHERE k.id = (i->>'t')::bigint FOR UPDATE",
    "epoch only": "WHERE k.id = (i->>'t')::bigint AND k.epoch = (i->>'e')::int AND k.state = 'L' FOR UPDATE",
    "any node": FENCE.replace(" AND k.node = coalesce((i->>'n')::int, k.node)", ""),
}
A, B = 11, 22


def rows(statement: str, *arguments: Any) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def claim(session: int) -> dict[str, Any]:
    found = rows(statements.CLAIM, session, ["default"], 1, True)
    assert len(found) == 1
    return found[0]


def ending(session: int, lease: dict[str, Any]) -> dict[str, Any]:
    """What ends the first step of a two-step line."""
    item = {
        "t": lease["id"],
        "e": lease["epoch"],
        "n": lease["node"],
        "then": "go",
        "o": "S",
        "out": session,
        "ports": ["out"],
    }
    return {**item, "starts": [{"node": lease["node"] + 1, "queue": "default", "timeout": 30}]}


def finish(session: int, lease: dict[str, Any]) -> str:
    """End the first step of a two-step line as its owner would."""
    return str(rows(statements.ADVANCE, session, json.dumps([ending(session, lease)]))[0]["status"])


def begin(house: House) -> UUID:
    return house.start(house.publish(document([step("a"), step("b"), step("c")], "a > b > c")))


def taken_over(house: House) -> None:
    """A is stopped beyond its lease; B finishes its step; then A comes back with its own answer."""
    run_id = begin(house)
    first = claim(A)
    rows(statements.TAKE_OVER, 15.0, 10)  # A has no session that beats
    second = claim(B)
    assert second["attempt"] == 2
    assert finish(B, second) == "moved"
    assert finish(A, first) == "fenced"
    assert_moved_once(run_id)


def issued_twice(house: House) -> None:
    """A's claim was lost in a crash of PostgreSQL (claims do not wait for the flush): B gets the same epoch."""
    run_id = begin(house)
    first = claim(A)
    Token.objects.filter(pk=first["id"]).update(state="R", session_id=None, epoch=first["epoch"] - 1, attempt=0)
    second = claim(B)
    assert second["epoch"] == first["epoch"]
    assert finish(A, first) == "fenced"
    assert finish(B, second) == "moved"
    assert_moved_once(run_id)


def repeated(house: House) -> None:
    """The same answer arrives twice: the second changes no row."""
    run_id = begin(house)
    lease = claim(A)
    assert finish(A, lease) == "moved"
    before = picture(run_id)
    assert finish(A, lease) == "fenced"
    assert picture(run_id) == before
    assert_moved_once(run_id)


def made_ahead(house: House) -> None:
    """A ran steps ahead of a commit that held its token; resumed, A claims it again at an epoch it had reached."""
    run_id = begin(house)
    first = claim(A)
    pause_run(run_id, house.actor)
    assert finish(A, first) == "held"
    resume_run(run_id, house.actor)
    again = claim(A)
    assert again["node"] == 1
    assert finish(A, {**again, "node": 2}) == "fenced"
    assert_moved_once(run_id)


def several_at_once(house: House) -> None:
    """Two steps of a chain end in one call; the same again changes no row."""
    run_id = begin(house)
    first = claim(A)
    second = {**first, "epoch": first["epoch"] + 1, "node": 1}
    items = [ending(A, first), ending(A, second)]
    assert [row["status"] for row in rows(statements.ADVANCE, A, json.dumps(items))] == ["moved", "moved"]
    before = picture(run_id)
    assert [row["status"] for row in rows(statements.ADVANCE, A, json.dumps(items))] == ["fenced", "fenced"]
    assert picture(run_id) == before
    assert sorted(StepLog.objects.filter(run_id=run_id).values_list("node", "outcome")) == [(0, "S"), (1, "S")]


def picture(run_id: UUID) -> list[Any]:
    """Every row of the run (I5)."""
    tables = (Token.objects.filter(run_id=run_id), StepLog.objects.filter(run_id=run_id), Run.objects.filter(pk=run_id))
    return [list(table.values()) for table in tables]


def assert_moved_once(run_id: UUID) -> None:
    assert StepLog.objects.filter(run_id=run_id, outcome="S").count() == 1
    assert list(Token.objects.filter(run_id=run_id).values_list("node", flat=True)) == [1]


SCENES = [taken_over, issued_twice, repeated, made_ahead, several_at_once]


@pytest.mark.parametrize("scene", SCENES)
def test_only_the_owner_moves_a_token(house: House, scene: Callable[[House], None]) -> None:
    scene(house)


@contextmanager
def mutant(condition: str) -> Iterator[None]:
    """The advance of the database with another fence, inside the block."""
    assert FENCE in SQL, "the fence is written differently now: adapt the mutants"
    replaced = SQL.replace(FENCE, condition).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    with connection.cursor() as cursor:
        cursor.execute(replaced)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(SQL.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))


@pytest.mark.parametrize("name", MUTANTS)
def test_these_scenes_catch_a_broken_fence(house: House, name: str) -> None:
    """A test of the tests: with a mutant, at least one scene must fail."""
    caught = []
    with mutant(MUTANTS[name]):
        for scene in SCENES:
            try:
                scene(house)
            except Exception:
                caught.append(scene.__name__)
            Token.objects.all().delete()
    assert caught


def test_an_attempt_that_was_taken_over_hears_so_beside_a_later_one_in_the_same_process(house: House) -> None:
    """A stopped process comes back, claims the token again, and both attempts end in one commit."""
    run_id = begin(house)
    first = claim(A)
    rows(statements.TAKE_OVER, 15.0, 10)
    second = claim(A)
    committer = Committer(A, lambda queues: None)
    try:
        batch = [_Entry(ending(A, lease)) for lease in (second, first)]
        committer._commit(batch)
    finally:
        committer.close()
    assert [entry.answer["status"] for entry in batch] == ["moved", "fenced"]
    assert list(StepLog.objects.filter(run=run_id, outcome="S").values_list("attempt", flat=True)) == [2]
