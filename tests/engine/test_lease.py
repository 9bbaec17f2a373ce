"""Leases: who dies is taken over with a row of unknown outcome, who stops hands back, who kills workers is given up."""

import asyncio
import json
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import psycopg
import pytest
from django.db import OperationalError
from django.utils import timezone

from orchestrator.core.outcome import Done, Outcome
from orchestrator.engine import statements
from orchestrator.engine.database import connect
from orchestrator.engine.keeper import Keeper
from orchestrator.engine.roots import Roots
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog, Token, WorkerSession
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import fail_overdue_run
from tests.engine.drawings import document, step
from tests.engine.house import House, NoHttp, error, leftovers, make_tools, worker_at_work
from tests.engine.house import keeper_at_work as keeper
from tests.engine.kinds import Held, HeldAway, Told, kinds
from tests.engine.rows import beat, claim, finish, rows, take_over
from tests.waiting import wait_until

DEAD, LIVING = 11, 22
RETRY = {"attempts": 3, "first": "PT0S", "factor": 1, "cap": "PT0S", "jitter": "none"}


def letters(run_id: UUID) -> str:
    return "".join(StepLog.objects.filter(run_id=run_id, node=0).order_by("attempt").values_list("outcome", flat=True))


def work(house: House, sandbox: Sandbox, run_id: UUID) -> Run:
    with worker_at_work(make_tools(sandbox)):
        run = house.end_of(run_id)
    assert leftovers(run_id) == {}
    assert list(breaches()) == []
    return run


@pytest.fixture
def run_id(house: House) -> UUID:
    """A run of two steps, ready for the first."""
    return house.start(house.publish(document([step("a", retry=RETRY), step("b")], "a > b")))


def test_a_dead_workers_step_is_taken_over_with_an_unknown_row(house: House, sandbox: Sandbox, run_id: UUID) -> None:
    claim(DEAD)
    assert [(row["n"], row["dead"]) for row in take_over()] == [(1, True)]
    assert take_over() == []
    row = StepLog.objects.get(run_id=run_id)
    assert (row.outcome, row.attempt, row.final, row.session_id) == ("U", 1, False, DEAD)
    assert work(house, sandbox, run_id).state == "succeeded"
    assert letters(run_id) == "US"


def test_a_living_worker_keeps_its_step(run_id: UUID) -> None:
    beat(LIVING)
    (lease,) = claim(LIVING)
    assert take_over() == []
    assert finish(LIVING, lease, starts=[{"node": 1, "queue": "default", "timeout": 30}]) == "moved"


def test_a_stale_beat_counts_as_dead(run_id: UUID) -> None:
    beat(LIVING)
    claim(LIVING)
    WorkerSession.objects.update(beat_at=timezone.now() - timedelta(seconds=20))
    assert len(take_over()) == 1


def test_a_step_that_kills_its_workers_is_given_up(house: House, sandbox: Sandbox, run_id: UUID) -> None:
    for _ in range(5):
        assert len(claim(DEAD)) == 1
        assert len(take_over()) == 1
    run = work(house, sandbox, run_id)
    assert (run.state, error(run)["code"]) == ("failed", "worker_lost")
    assert letters(run_id) == "UUUUUF"


@pytest.mark.parametrize("deaths", [4, 5, 6, 7])
def test_deaths_are_not_retries(house: House, sandbox: Sandbox, deaths: int) -> None:
    """Deaths spend nothing of the retry policy, however late the worker dies: also while it would only give up."""
    once = {**RETRY, "attempts": 1}
    run_id = house.start(house.publish(document([step("a", retry=once)])))
    for _ in range(deaths):
        claim(DEAD)
        take_over()
    assert work(house, sandbox, run_id).state == ("succeeded" if deaths < 5 else "failed")


def test_a_worker_that_dies_on_a_late_step_leaves_no_row_in_the_way(
    house: House, sandbox: Sandbox, run_id: UUID
) -> None:
    """Past its deadline the attempt has a verdict but no row; the next owner dies before writing it."""
    beat(LIVING)
    claim(LIVING)
    Token.objects.filter(run_id=run_id).update(deadline_at=timezone.now() - timedelta(seconds=1))
    assert [row["dead"] for row in take_over()] == [False]
    claim(DEAD)
    take_over()
    with keeper(lambda: None):
        assert work(house, sandbox, run_id).state == "succeeded"
    assert letters(run_id) == "UTS"


def test_a_database_away_from_the_tools_costs_no_attempt(house: House, sandbox: Sandbox) -> None:
    """The hosts that a step may reach are read by Django, whose errors are its own."""
    once = {**RETRY, "attempts": 1}
    held = HeldAway()
    held.release.set()
    known = kinds(held=held)
    run_id = house.start(house.publish(document([step("a", "held", retry=once)]), kinds=known))
    away = iter([OperationalError("the connection is closed"), OperationalError("the pool is closed")])

    def http_for(workspace_id: int) -> NoHttp:
        if error := next(away, None):
            raise error
        return NoHttp()

    with worker_at_work(replace(make_tools(sandbox, known), http_for=http_for)):
        run = house.end_of(run_id)
    assert (run.state, letters(run_id)) == ("succeeded", "S")
    assert next(away, None) is None


def test_a_handler_in_a_thread_costs_no_look_at_the_allowed_hosts(house: House, sandbox: Sandbox) -> None:
    refusals: list[str] = []

    def answer(context: Any) -> Outcome:
        with pytest.raises(RuntimeError, match="was asked for in a thread"):
            asyncio.run(context.http.request("GET", "http://a.test/"))
        refusals.append(context.step_key)
        return Done(None)

    def http_for(workspace_id: int) -> NoHttp:
        raise AssertionError("nobody here can use a client")

    known = kinds(told=Told(answer))
    run_id = house.start(house.publish(document([step("a", "told")]), kinds=known))
    with worker_at_work(replace(make_tools(sandbox, known), http_for=http_for)):
        assert house.end_of(run_id).state == "succeeded"
    assert refusals == ["a"]


def test_a_stopping_worker_hands_its_chain_back(house: House, sandbox: Sandbox) -> None:
    held = Held()
    known = kinds(held=held)
    run_id = house.start(house.publish(document([step("a", "held"), step("b")], "a > b"), kinds=known))
    with worker_at_work(make_tools(sandbox, known)) as worker:
        held.enter()
        stopping = threading.Thread(target=worker.stop, args=(10,))
        stopping.start()
        wait_until(worker._stopping.is_set, 5, "the worker to stop")
        held.release.set()
        stopping.join(10)
        token = Token.objects.get(run_id=run_id)
        assert (token.node, token.state, token.attempt, token.session_id) == (1, "R", 0, None)
        assert not WorkerSession.objects.filter(pk=worker.session_id).exists()
        worker.stop = lambda grace: None  # type: ignore[method-assign]  # it has ended
    assert work(house, sandbox, run_id).state == "succeeded"
    assert set(StepLog.objects.filter(run_id=run_id).values_list("outcome", flat=True)) == {"S"}


def test_a_token_whose_claim_was_never_heard_of_is_returned(house: House, sandbox: Sandbox, run_id: UUID) -> None:
    with worker_at_work(make_tools(sandbox), queues=("other",)) as deaf:
        claim(deaf.session_id)
        Token.objects.update(started_at=timezone.now() - timedelta(seconds=6))
        wait_until(Token.objects.filter(run_id=run_id, state="R").exists, 10, "the stray to be returned")
        assert work(house, sandbox, run_id).state == "succeeded"
    assert letters(run_id) == "S"


def test_an_absent_database_costs_no_attempt(house: House, sandbox: Sandbox) -> None:
    """What a step needs to begin, and what a run needs to end, is read again until PostgreSQL answers."""
    once = {**RETRY, "attempts": 1}
    steps = [step("a"), step("b", retry=once, config={"value": {"$": "steps.a"}})]
    version = house.publish(document(steps, "a > b", output={"$": "steps.b"}))
    calls: list[str] = []

    def failing(name: str) -> Any:
        real = getattr(Roots, name)

        def read(self: Roots, *arguments: Any) -> Any:
            calls.append(name)
            if calls.count(name) <= 2:
                raise psycopg.OperationalError("the database system is starting up")
            return real(self, *arguments)

        return patch.object(Roots, name, read)

    with failing("of_step"), failing("of_end"):
        run = work(house, sandbox, house.start(version))
    assert (run.state, run.output) == ("succeeded", "a")
    assert min(calls.count("of_step"), calls.count("of_end")) > 2
    assert set(StepLog.objects.filter(run_id=run.pk).values_list("outcome", "attempt")) == {("S", 1)}


@pytest.mark.parametrize("way", ["waits", "runs ahead"])
def test_an_end_that_cannot_be_stored_is_logged_as_unknown(house: House, sandbox: Sandbox, way: str) -> None:
    """Whatever stands in the way: the handler has run, and that must be seen before it runs again."""
    acting = Told(lambda context: Done("acted"))
    acting.effects_of = lambda config: "none" if way == "runs ahead" else "external"  # type: ignore[method-assign]
    known = kinds(told=acting)
    version = house.publish(
        document([step("a", "told"), step("b", "told"), step("c", "told")], "a > b > c"), kinds=known
    )
    given_up: list[bool] = []
    with worker_at_work(make_tools(sandbox, known)) as worker:
        real = worker._committer._ask

        def call(statement: str, text: str) -> Any:
            told = [item for item in json.loads(text) if item.get("n") == 1 and item.get("o") == "S"]
            if told and not given_up:
                raise RuntimeError("unforeseen \ud800")
            given_up.extend(True for item in json.loads(text) if item.get("o") == "U")
            return real(statement, text)

        with patch.object(worker._committer, "_ask", call):
            run_id = house.start(version)
            worker.poke()
            assert house.end_of(run_id).state == "succeeded"
    found = StepLog.objects.filter(run_id=run_id).order_by("entry").values_list("node", "outcome")
    assert list(found) == [(0, "S"), (1, "U"), (1, "S"), (2, "S")]
    assert list(breaches()) == []


def test_a_text_that_cannot_be_encoded_fails_its_step_and_no_other(house: House, sandbox: Sandbox) -> None:
    def answer(context: Any) -> Outcome:
        if context.roots["input"].get("bad"):
            raise ValueError("half a pair: \ud800")
        return Done("good")

    known = kinds(told=Told(answer))
    version = house.publish(document([step("a", "told", retry={**RETRY, "attempts": 1})]), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as house.worker, keeper(house.worker.poke):
        started = {house.start(version, {"bad": n % 4 == 0}): n % 4 == 0 for n in range(24)}
        for run_id, bad in started.items():
            assert house.end_of(run_id).state == ("failed" if bad else "succeeded")


def test_a_lost_reply_is_a_move_only_one_epoch_later(house: House, sandbox: Sandbox, run_id: UUID) -> None:
    """Between the lost call and the question, the token was taken over and claimed by this very process again."""
    with worker_at_work(make_tools(sandbox), queues=("other",)) as worker:
        (lease,) = claim(worker.session_id)
        item = {"t": lease["id"], "e": lease["epoch"], "then": "go", "o": "S", "ports": ["out"]}
        Token.objects.filter(pk=lease["id"]).update(epoch=lease["epoch"] + 2)
        committer = worker._committer
        with patch.object(committer, "_ask", side_effect=psycopg.OperationalError("gone")):
            assert committer.advance(item)["status"] == "fenced"


def test_the_keeper_outlives_any_error(house: House, sandbox: Sandbox) -> None:
    """Its connection holds the keepers' lock: if the thread ended, nobody would ever sweep again."""
    overdue = house.publish(document([step("a", "delay", config={"for": "PT10M"})], settings={"deadline": "PT0.1S"}))
    failures: list[Any] = []

    def failing(run_id: Any) -> None:
        failures.append(run_id)
        raise OperationalError("Django's own kind of error")

    sweeper = Keeper(failing, wake=lambda queue, count: None)
    with worker_at_work(make_tools(sandbox)) as house.worker:
        run_id = house.start(overdue)
        wait_until(Token.objects.filter(run_id=run_id, state="W").exists, 10, "the step to wait")
        sweeper.start()
        try:
            wait_until(lambda: len(failures) >= 2, 10, "a second sweep after the failed one")
        finally:
            sweeper.stop()


def test_the_keeper_replaces_a_broken_django_connection(house: House) -> None:
    """Ending a run past its deadline goes through Django, whose connection lives in the keeper's thread."""
    overdue = house.publish(document([step("a")], settings={"deadline": "PT0.1S"}))
    backends: list[int] = []

    def note_and_end(run_id: UUID) -> None:
        # Noted first: what comes after the end may fail or be late, and then the end has no second call.
        backends.append(rows("SELECT pg_backend_pid() AS pid")[0]["pid"])
        fail_overdue_run(run_id)

    keeper = Keeper(note_and_end, wake=lambda queue, count: None)
    keeper.start()
    try:
        # On a busy machine the keeper of an earlier test may still be at its last sweep, and would end this run.
        wait_until(lambda: keeper._mine, 20, "the keeper to act")
        assert house.end_of(house.start(overdue)).state == "failed"
        rows("SELECT pg_terminate_backend(%s)", backends[0])
        assert house.end_of(house.start(overdue)).state == "failed"
    finally:
        keeper.stop()
    # A backend ends a moment after its client has closed.
    wait_until(
        lambda: rows("SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)", backends) == [], 10, "them to be closed"
    )


def test_a_worker_replaces_a_broken_connection_of_its_claims(house: House, sandbox: Sandbox) -> None:
    version = house.publish(document([step("a")]))
    with worker_at_work(make_tools(sandbox)) as house.worker:
        assert house.end_of(house.start(version)).state == "succeeded"
        asked = "SELECT pid FROM pg_stat_activity WHERE application_name = 'branchline claim'"
        broken = rows(asked)[0]["pid"]
        rows("SELECT pg_terminate_backend(%s)", broken)
        assert house.end_of(house.start(version)).state == "succeeded"
        assert broken not in [row["pid"] for row in rows(asked)]
    wait_until(lambda: rows(asked) == [], 10, "the last connection to be closed")


def test_a_keeper_without_the_lock_rests_when_nudged(house: House) -> None:
    with keeper(lambda: None) as first:
        wait_until(lambda: first._mine, 5, "the first keeper to act")
        with keeper(lambda: None) as second:
            second.nudge()
            wait_until(lambda: not second._nudged.is_set(), 5, "the nudge to be heard once")
            assert not second._mine


def test_nothing_starts_after_a_cancellation_has_returned(house: House) -> None:
    """I10: eight workers in eight connections, a wide run, and the database's clock as the judge."""
    steps = [step("a"), *(step(f"b{n}") for n in range(60)), step("z", "merge")]
    version = house.publish(document(steps, *(f"a > b{n} > z" for n in range(60))))
    assert starts_after_control(house, version, "C", rounds=6) == 0


def test_nothing_starts_after_a_pause_has_returned(house: House) -> None:
    steps = [step(f"b{n}") for n in range(60)]
    assert starts_after_control(house, house.publish(document(steps)), "P", rounds=6) == 0


def starts_after_control(house: House, version: Any, control: str, rounds: int) -> int:
    """How many steps began after a control change had returned."""
    return sum(_race(house.start(version), control) for _ in range(rounds))


def _race(run_id: UUID, control: str) -> int:
    (first,) = claim(LIVING) if control == "C" else (None,)
    if first is not None:
        starts = [{"node": node, "queue": "default", "timeout": 30} for node in range(1, 61)]
        finish(LIVING, first, starts=starts)
    began = threading.Barrier(9)
    threads = [threading.Thread(target=_drain, args=(session, began)) for session in range(100, 108)]
    for thread in threads:
        thread.start()
    began.wait()
    wait_until(StepLog.objects.filter(run_id=run_id).exists, 5, "the race to begin")
    closing = json.dumps({"state": "cancelled"})
    rows(statements.SET_CONTROL, run_id, control, closing, "tester", "cancel_requested", "{}")
    (after,) = (row["now"] for row in rows("SELECT clock_timestamp() AS now"))
    for thread in threads:
        thread.join()
    late = StepLog.objects.filter(run_id=run_id, started_at__gt=after).count()
    late += Token.objects.filter(run_id=run_id, state="L", started_at__gt=after).count()
    Token.objects.all().delete()
    return late


def _drain(session: int, began: threading.Barrier) -> None:
    """One worker: claim and finish until nothing is ready."""
    connection = connect("test")
    try:
        began.wait()
        while leases := connection.execute(statements.CLAIM, (session, ["default"], 1, True)).fetchall():
            for lease in leases:
                item = {"t": lease["id"], "e": lease["epoch"], "then": "go", "o": "S", "ports": ["out"]}
                connection.execute(statements.ADVANCE, (session, json.dumps([item])))
    finally:
        connection.close()
