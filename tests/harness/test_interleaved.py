"""Two calls at the same time, held at their worst moment: the first has done everything but commit."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from orchestrator.engine import statements
from orchestrator.engine.database import Connection, Row
from orchestrator.models import Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import beat, claim, own_connection
from tests.harness.faults import Breached
from tests.harness.mutants import mutated
from tests.waiting import wait_until

A, B = 11, 22
WAITS = """SELECT EXISTS (SELECT FROM pg_locks WHERE pid = %s AND NOT granted) AS it"""


class Second:
    """A call in a thread of its own. `state` is "waits" or "done" once it has got as far as it can."""

    def __init__(self, statement: str, *arguments: Any) -> None:
        self.rows: list[Row] = []
        self._pid: list[int] = []
        self._started, self._done = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(statement, arguments))
        self._thread.start()

    def _run(self, statement: str, arguments: tuple[Any, ...]) -> None:
        with own_connection("second") as database:
            self._pid.append(database.info.backend_pid)
            self._started.set()
            self.rows = database.execute(statement, arguments).fetchall()
        self._done.set()

    def state(self, observer: Connection) -> str:
        """What it does while the first call has not committed."""
        assert self._started.wait(5)
        wait_until(lambda: self._done.is_set() or self._waits(observer), 10, "the second call to wait or to end")
        return "done" if self._done.is_set() else "waits"

    def end(self) -> list[Row]:
        self._thread.join(10)
        assert self._done.is_set(), "the second call never came back"
        return self.rows

    def _waits(self, observer: Connection) -> bool:
        return bool(observer.execute(WAITS, (self._pid[0],)).fetchall()[0]["it"])


@contextmanager
def at_the_same_time(first: tuple[Any, ...], second: tuple[Any, ...]) -> Iterator[tuple[list[Row], Second, str]]:
    """Run `first`, then `second` before the first commits. Yields the first's rows, the second, and what it did."""
    with own_connection("first") as database, own_connection("observer") as observer:
        with database.transaction():
            rows = database.execute(*_split(first)).fetchall()
            other = Second(*second)
            state = other.state(observer)
        other.end()
        yield rows, other, state


def _split(call: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    return call[0], call[1:]


@pytest.fixture
def run_id(house: House) -> UUID:
    """A run of three steps in a row, ready for the first."""
    return house.start(house.publish(document([step("a"), step("b"), step("c")], "a > b > c")))


def go(lease: dict[str, Any], session: int = A) -> tuple[Any, ...]:
    """The call that ends the step of this lease and goes on to the next."""
    starts = [{"node": lease["node"] + 1, "queue": "default", "timeout": 30}]
    item = {"t": lease["id"], "e": lease["epoch"], "then": "go", "o": "S", "ports": ["out"], "starts": starts}
    return statements.ADVANCE, session, json.dumps([item])


def take(session: int, count: int = 1) -> tuple[Any, ...]:
    return statements.CLAIM, session, ["default"], count, True


def control(run_id: UUID, letter: str) -> tuple[Any, ...]:
    closing = json.dumps({"state": "cancelled"}) if letter == "C" else None
    return statements.SET_CONTROL, run_id, letter, closing, "tester", "cancel_requested", "{}"


SWEEP = (statements.TAKE_OVER, 15.0, 100)


def control_waits_for_a_move(run_id: UUID) -> None:
    """I10: cancel and pause return only when what began before them has committed."""
    (lease,) = claim(A)
    for letter in "PC":
        with at_the_same_time(go(lease), control(run_id, letter)) as (moved, _, state):
            if state != "waits":
                raise Breached("I10 control waits", f"{letter} returned while a step was about to start: {moved}")
        if letter == "P":
            lease = {**lease, "epoch": moved[0]["epoch"], "node": 1}


def control_waits_for_a_claim(run_id: UUID) -> None:
    with at_the_same_time(take(A), control(run_id, "P")) as (leases, _, state):
        if state != "waits":
            raise Breached("I10 control waits", f"a pause returned while a step was about to start: {leases}")


def a_move_waits_for_control(run_id: UUID) -> None:
    (lease,) = claim(A)
    with at_the_same_time(control(run_id, "P"), go(lease)) as (_, moved, _state):
        if moved.rows[0]["status"] != "held":
            raise Breached("I10 control holds", f"the step went on under a pause: {moved.rows}")


def two_claims_share_nothing(house: House) -> None:
    """I5: neither waits for the other, and no token is leased twice."""
    version = house.publish(document([step(f"s{number}") for number in range(6)]))
    run_id = house.start(version)
    with at_the_same_time(take(A, 2), take(B, 2)) as (mine, theirs, state):
        leased = [row["id"] for row in [*mine, *theirs.rows]]
        if len(leased) != 4 or len(set(leased)) != 4:
            raise Breached("I5 claim", f"asked for 2 and 2, leased {leased}")
        if state != "done":
            raise Breached("I5 claim", "one claim waits for another")
    assert Token.objects.filter(run_id=run_id, state="L").count() == 4


def who_is_taken_over_is_fenced(run_id: UUID) -> None:
    """I8: a takeover and a late answer at the same moment."""
    (lease,) = claim(A)
    with at_the_same_time(SWEEP, go(lease)) as (_, answer, _state):
        if answer.rows[0]["status"] != "fenced":
            raise Breached("I8 the late are fenced", f"{answer.rows}")
    assert StepLog.objects.filter(run_id=run_id, outcome="S").count() == 0


def who_answers_is_not_taken_over(run_id: UUID) -> None:
    (lease,) = claim(A)
    with at_the_same_time(go(lease), SWEEP) as (moved, sweep, _):
        if moved[0]["status"] != "moved" or sweep.rows:
            raise Breached("I8 who answers keeps the token", f"{moved} {sweep.rows}")


RUN_SCENES = [
    control_waits_for_a_move,
    control_waits_for_a_claim,
    a_move_waits_for_control,
    who_is_taken_over_is_fenced,
    who_answers_is_not_taken_over,
]


@pytest.mark.parametrize("scene", RUN_SCENES)
def test_calls_at_the_same_time(run_id: UUID, scene: Callable[[UUID], None]) -> None:
    scene(run_id)
    assert list(breaches()) == []


def test_claims_at_the_same_time(house: House) -> None:
    beat(A)
    two_claims_share_nothing(house)


def test_two_branches_meet_at_their_join_once(house: House) -> None:
    """I3: the second waits for the gate's row, sees the first and fires."""
    steps = [step("a"), step("b"), step("m", "merge")]
    run_id = house.start(house.publish(document(steps, "a > m", "b > m")))
    one, two = claim(A, 2)

    def arrive(lease: dict[str, Any]) -> tuple[Any, ...]:
        item = {"t": lease["id"], "e": lease["epoch"], "then": "go", "o": "S", "ports": ["out"]}
        return statements.ADVANCE, A, json.dumps([{**item, "sig": [2, lease["node"], 0]}])

    with at_the_same_time(arrive(one), arrive(two)) as (first, second, state):
        assert state == "waits"
        assert [first[0]["status"], second.rows[0]["status"]] == ["parked", "moved"]
    assert Run.objects.get(pk=run_id).state == "running"
    assert list(Token.objects.filter(run_id=run_id).values_list("node", flat=True)) == [2]


NO_LOCK = ("pg_advisory_xact_lock_shared(uuid_hash_extended(p_run, 7))", "1")


def test_without_the_run_lock_a_pause_returns_too_early(run_id: UUID) -> None:
    with mutated("branchline_share_run", NO_LOCK), pytest.raises(Breached, match="I10"):
        control_waits_for_a_move(run_id)


def test_without_the_run_lock_a_cancel_returns_too_early(run_id: UUID) -> None:
    with mutated("branchline_share_run", NO_LOCK), pytest.raises(Breached, match="I10"):
        control_waits_for_a_claim(run_id)


# The LIMIT stands in a sub-select that a nested loop asks again for each row, as in oban-bg/oban#4.
UNMATERIALISED = (
    (
        "v_held := ARRAY(\n            SELECT k FROM orchestrator_token k",
        "v_held := '{}'; FOR t IN UPDATE orchestrator_token k SET xid = k.xid"
        " WHERE k.id IN (SELECT k.id FROM orchestrator_token k",
    ),
    (
        "FOR UPDATE SKIP LOCKED LIMIT p_n - v_n);",
        "FOR UPDATE SKIP LOCKED LIMIT p_n - v_n) RETURNING k.* LOOP v_held := v_held || t; END LOOP;",
    ),
    (
        "v_flush text := set_config('synchronous_commit', 'off', true)",
        "v_flush text := (SELECT string_agg(set_config('enable_' || kind, 'off', true), '')"
        " FROM unnest('{hashjoin,mergejoin,material,hashagg,sort}'::text[]) kind)",
    ),
)


def test_an_unmaterialised_claim_takes_too_many(house: House) -> None:
    beat(A)
    with mutated("branchline_claim", *UNMATERIALISED), pytest.raises(Breached, match="I5 claim"):
        two_claims_share_nothing(house)
