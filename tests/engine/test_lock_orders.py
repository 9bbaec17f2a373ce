"""Calls that lock the same things lock them in one order: PostgreSQL breaks a ring of two only after a second.

Each test takes, step by step, what one call takes, lets the other run against it, and goes on: with
opposite orders this is a deadlock. The order stands in docs/architecture.md.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from orchestrator.engine import statements
from orchestrator.engine.committer import Committer
from orchestrator.engine.database import Connection
from orchestrator.engine.items import hand_back
from orchestrator.engine.keeper import Keeper
from orchestrator.engine.lease import Lease
from orchestrator.models import Gate, Run, RunRecord, Scope, Token, UndoItem
from orchestrator.models.scope import BLOCK
from orchestrator.queries.fsck import breaches
from orchestrator.services.retry_step import retry_step
from orchestrator.services.run_above import RunOfSubWorkflow
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import beat, claim, own_connection, rows
from tests.harness.test_interleaved import Second
from tests.run_factories import make_items, make_log, make_run, make_task, make_token, make_undo_item
from tests.waiting import wait_until

A = 11
SHARED = "SELECT branchline_share_run(%s)"
BODY = {"waiting": {"kind": "body", "text": "for its steps"}}
WAITING = "SELECT FROM pg_locks WHERE NOT granted LIMIT 1"


@contextmanager
def one() -> Iterator[tuple[Connection, Connection]]:
    """A call in the middle of its transaction, which is taken back, and somebody who looks on.

    It never waits: it gives up before PostgreSQL breaks a ring, whose victim would call again, and nobody would know.
    """
    with (
        own_connection("one") as first,
        own_connection("observer") as observer,
        first.transaction(force_rollback=True),
    ):
        first.execute("SET LOCAL lock_timeout = '500ms'")
        yield first, observer


def waits(observer: Connection) -> bool:
    return bool(observer.execute(WAITING).fetchall())


ANY = {"mode": "any", "late": "cancel"}
#: What the other has before it comes to want the rest, and whether the container is a branch that is cancelled.
CONTAINERS = {
    "a scope with a lock ends": (
        ["UPDATE orchestrator_scope SET state = 'C' WHERE run_id = %s", "SELECT branchline_pass_lock(%s, 'bench')"],
        True,
    ),
    "a scope with a lock begins": (
        ["SELECT branchline_lock_is_free(%s, 'bench')", "SELECT FROM orchestrator_gate WHERE run_id = %s FOR UPDATE"],
        True,
    ),
    "a lane ends": (
        [
            "SELECT FROM orchestrator_scope WHERE run_id = %s FOR UPDATE",
            "SELECT FROM orchestrator_token WHERE run_id = %s AND state = 'W' FOR UPDATE",
        ],
        True,
    ),
    "inner joins come before outer ones": (
        [
            "SELECT FROM orchestrator_gate WHERE run_id = %s AND scope_id <> 0 FOR UPDATE",
            "SELECT FROM orchestrator_gate WHERE run_id = %s AND scope_id = 0 FOR UPDATE",
        ],
        False,
    ),
}


def two_joins_that_cancel(house: House, *, box_is_late: bool) -> UUID:
    """Joins outside and inside a container that have fired by their first branch; nobody has cancelled the rest yet."""
    inside = [step("p", parent="box"), step("q", parent="box"), step("y", "merge", join=ANY, parent="box")]
    box = step("box", "scope", config={"lock": "bench"})
    drawn = [step("a"), step("late"), box, *inside, step("z", "merge", join=ANY)]
    outside = ["a > z", "late > z", *(["box > z"] if box_is_late else [])]
    version = house.publish(document(drawn, *outside, "p > y", "q > y"))
    node = {key: place for place, key in enumerate(version.plan["keys"])}
    run_id = house.start(version)
    beat(A)
    leased = {lease["node"]: lease for lease in claim(A, 3)}
    starts = [{"node": node[key], "queue": "default", "timeout": 30} for key in ("p", "q")]
    opens = {"then": "open", "scope": {"index": 1, "starts": starts, "lock": "bench"}, **BODY}
    end(leased[node["box"]], **opens)
    inner = {lease["node"]: lease for lease in claim(A, 2)}
    end(inner[node["p"]], then="go", o="S", ports=["out"], sig=[node["y"], 0, 0])
    end(leased[node["a"]], then="go", o="S", ports=["out"], sig=[node["z"], 0, 0])
    assert Gate.objects.filter(run_id=run_id, cancel_pending=True).count() == 2
    return run_id


def end(lease: dict[str, Any], **item: Any) -> None:
    rows(statements.ADVANCE, A, json.dumps([{"t": lease["id"], "e": lease["epoch"], **item}]))


@pytest.mark.parametrize("what", CONTAINERS)
def test_who_cancels_branches_has_the_run_alone(house: House, what: str) -> None:
    (takes, wants), box_is_late = CONTAINERS[what]
    run_id = two_joins_that_cancel(house, box_is_late=box_is_late)
    with one() as (first, observer):
        first.execute(SHARED, (run_id,))
        first.execute(takes, (run_id,))
        other = Second(statements.CANCEL_BRANCHES, run_id)
        assert other.state(observer) == "waits"
        first.execute(wants, (run_id,))
    assert {row["kind"] for row in other.end()} >= {"cancelled"}
    # Of a join in a container that is closed by this nothing is left to cancel.
    assert set(Gate.objects.filter(run_id=run_id, cancel_pending=True).values_list("scope_id", flat=True)) <= closed()
    assert rows(statements.CANCEL_BRANCHES, run_id) == []
    assert list(breaches()) == []


def closed() -> set[int]:
    """The scopes of bodies that have ended."""
    return {block + 1 for block in Scope.objects.filter(state="C").values_list("pk", flat=True)}


def test_who_has_no_branch_to_cancel_waits_for_nobody(house: House) -> None:
    """It is asked after every step that leads to such a join."""
    run_id = house.start(house.publish(document([step("a"), step("b")])))
    with one() as (first, observer):
        first.execute(SHARED, (run_id,))
        assert Second(statements.CANCEL_BRANCHES, run_id).state(observer) == "done"


def family(house: House) -> tuple[Run, Run]:
    """A run and its sub-workflow, each with a token that is ready; the sub-workflow's is the older one."""
    version = house.publish(document([step("a")]))
    above = make_run(version, control="-")
    below = make_run(version, control="-", parent_run=above, root_run=above, depth=1)
    assert above.pk < below.pk
    make_token(below, "a", attempt=0)
    make_token(above, "a", attempt=0)
    return above, below


def test_a_claim_takes_a_run_before_its_sub_workflows(house: House) -> None:
    above, below = family(house)
    beat(A)
    with one() as (control, observer):
        control.execute(statements.LOCK_RUN, (above.pk,))
        other = Second(statements.CLAIM, A, ["default"], 2, True)
        assert other.state(observer) == "waits"
        control.execute(statements.LOCK_RUN, (below.pk,))
    assert [row["run_id"] for row in other.end()] == [below.pk, above.pk], "in the order in which they stand in line"


def test_ends_of_one_commit_take_a_run_before_its_sub_workflows(house: House) -> None:
    above, below = family(house)
    beat(A)
    leases = [Lease.from_row(row) for row in claim(A, 2)]
    committer = Committer(A, lambda queues: None)
    heard = threading.Semaphore(0)
    with one() as (control, observer):
        control.execute(statements.LOCK_RUN, (above.pk,))
        committer._busy = True  # a commit is under way: they meet
        for lease in leases:
            committer.submit(hand_back(lease), lambda row, error: heard.release())
        with committer._changed:
            committer._busy = False
            committer._changed.notify_all()
        wait_until(lambda: waits(observer), 10, "the commit to wait for control")
        control.execute(statements.LOCK_RUN, (below.pk,))
    for _ in leases:
        assert heard.acquire(timeout=10)
    committer.close()
    assert set(Token.objects.values_list("state", flat=True)) == {"R"}


def test_orphans_are_cancelled_one_by_one(house: House) -> None:
    """One may stand below another that began later than it did: control has them in the order of the family."""
    version = house.publish(document([step("a")]))
    gone: dict[str, Any] = {"parent_token": 1, "parent_epoch": 1, "control": "-"}
    top = make_run(version, control="-")
    make_token(top, "a", attempt=0)
    first, second = (make_run(version, parent_run=top, root_run=top, depth=1, **gone) for _ in "12")
    with one() as (control, observer):
        control.execute(statements.LOCK_RUN, (second.pk,))
        keeper = Keeper(lambda run_id: None, wake=lambda queue, count: None)
        sweep = threading.Thread(target=in_a_thread(lambda: sweep_orphans(keeper)))
        sweep.start()
        wait_until(lambda: waits(observer), 10, "the sweep to come to the second")
        control.execute(statements.LOCK_RUN, (first.pk,))
    sweep.join(10)
    assert {Run.objects.get(pk=run.pk).state for run in (first, second)} == {"cancelled"}


def sweep_orphans(keeper: Keeper) -> None:
    with own_connection("keeper") as own:
        keeper._cancel_orphans(own)


def in_a_thread(work: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    return run


def test_an_operator_never_asks_for_the_run_at_the_top_with_a_run_below_in_hand(house: House) -> None:
    """The run below was open, and has ended by the time it is locked: what goes on then is the run at the top."""
    version = house.publish(document([step("a")]))
    above = make_run(version, state="failed", control="-")
    below = make_run(version, control="-", parent_run=above, root_run=above, parent_node=0, depth=1)
    refused: list[RunOfSubWorkflow] = []

    def retries() -> None:
        with pytest.raises(RunOfSubWorkflow) as found:
            retry_step(below.pk, "a", house.actor)
        refused.append(found.value)

    with own_connection("holder") as holder, one() as (control, observer):
        with holder.transaction():
            holder.execute(statements.LOCK_RUN, (below.pk,))
            thread = threading.Thread(target=in_a_thread(retries))
            thread.start()
            wait_until(lambda: waits(observer), 10, "the retry to wait for its run")
            control.execute(statements.LOCK_RUN, (above.pk,))
            Run.objects.filter(pk=below.pk).update(state="failed", finished_at=datetime.now(UTC))
        wait_until(lambda: waits(observer), 10, "the retry to ask for the run at the top")
        control.execute(statements.LOCK_RUN, (below.pk,))
    thread.join(10)
    assert [error.details for error in refused] == [{"top": str(above.pk)}]


def test_timers_do_not_wait_for_the_token_of_a_task(house: House) -> None:
    """Who cancels it has its token, leaves its task to the timers, and may come to want a token that is due."""
    run = make_run(house.publish(document([step("a"), step("b")])), control="-")
    past = datetime.now(UTC) - timedelta(seconds=1)
    task = make_task(run, "a", due_at=past)
    due = make_token(run, "b", state="W", phase=1, wake_at=past, waiting={"kind": "child", "text": "-"})
    with one() as (first, observer):
        first.execute("SELECT FROM orchestrator_token WHERE id = %s FOR UPDATE", (task.token_id,))
        other = Second(statements.FIRE_TIMERS, 100)
        assert other.state(observer) == "done"
        first.execute("SELECT FROM orchestrator_token WHERE id = %s FOR UPDATE", (due.pk,))
    assert [row["n"] for row in other.end()] == [1]
    assert [row["n"] for row in rows(statements.FIRE_TIMERS, 100)] == [1], "the next look finds the task"
    task.refresh_from_db()
    assert task.state == "expired"


def test_who_drains_a_container_takes_blocks_before_tokens(house: House) -> None:
    """A lane that ends has its block, and comes to want the token of its container."""
    inside = [step("each", "for_each", parent="box", config={"items": []}), step("s", parent="each")]
    run = make_run(house.publish(document([step("box", "scope"), *inside])), control="-")
    box = make_items(run, "box", total=0, state="C", draining_since=datetime.now(UTC))
    items = make_items(run, "each", total=1, parent=box.pk + 1)
    container = make_token(run, "each", state="W", phase=1, scope_id=box.pk + 1, inner_scope=items.pk,
        waiting={"kind": "items", "text": "-", "block": items.pk})  # fmt: skip
    Scope.objects.filter(pk=items.pk).update(token_id=container.pk)
    assert items.pk % BLOCK == 0
    with one() as (lane, observer):
        lane.execute(SHARED, (run.pk,))
        lane.execute("SELECT FROM orchestrator_scope WHERE id = %s FOR UPDATE", (items.pk,))
        other = Second(statements.DRAIN_SCOPES, 0.0, 100)
        assert other.state(observer) == "waits"
        lane.execute("SELECT FROM orchestrator_token WHERE id = %s FOR UPDATE", (container.pk,))
    assert [row["run_id"] for row in other.end()] == [run.pk]
    assert not Token.objects.filter(pk=container.pk).exists()


def cancelled_in_a_box(house: House) -> Run:
    """A cancelled run whose container and the step in it are at work."""
    drawn = [step("box", "scope"), step("s", parent="box")]
    run = make_run(house.publish(document(drawn)), state="cancelling", control="C", closing={"state": "cancelled"})
    box = make_items(run, "box", total=0)
    container = make_token(run, "box", state="L", session_id=A, phase=1, inner_scope=box.pk)
    Scope.objects.filter(pk=box.pk).update(token_id=container.pk)
    make_token(run, "s", state="L", session_id=A, scope_id=box.pk + 1)
    RunRecord.objects.create(run=run, at=datetime.now(UTC) - timedelta(minutes=1), kind="cancel_requested")
    return run


def test_what_is_stopped_is_not_taken_from_who_has_the_run_alone(house: House) -> None:
    """An operator who lets it go on at this moment reads its tokens, and means those."""
    run = cancelled_in_a_box(house)
    with one() as (control, observer):
        control.execute(statements.LOCK_RUN, (run.pk,))
        other = Second(statements.STOP_CANCELLED, 0.0, 100)
        assert other.state(observer) == "done"
        assert Token.objects.filter(run=run).count() == 2
    other.end()
    rows(statements.STOP_CANCELLED, 0.0, 100)
    assert not Token.objects.filter(run=run).exists()
    assert Run.objects.get(pk=run.pk).state == "cancelled"


def test_nobody_has_a_run_alone_while_what_is_stopped_in_it_is_taken_away(house: House) -> None:
    """Its containers are closed with that, which asks for the run's lock."""
    run = cancelled_in_a_box(house)
    with one() as (first, observer):
        first.execute("SELECT branchline_stop_cancelled(0, 1)")
        other = Second(statements.LOCK_RUN, run.pk)
        assert other.state(observer) == "waits"
    other.end()
    assert Token.objects.filter(run=run).count() == 2, "it was taken back"


def test_undo_steps_that_end_take_their_run_before_the_ledger(house: House) -> None:
    """One call ends two of them, another one meanwhile: each lets earlier steps go, some of them the same."""
    keys = ("early", "one", "two", "three")
    run = make_run(house.publish(document([step(key) for key in keys])), state="undoing", control="K")
    beat(A)
    entries = {key: make_log(run, key).entry for key in keys}
    make_undo_item(run, "early", "waiting", awaits=3)
    ends = []
    for key in keys[1:]:
        releases = [] if key == "one" else [entries["early"]]
        item = make_undo_item(run, key, "running", releases=releases)
        token = make_token(run, key, state="L", session_id=A)
        Token.objects.filter(pk=token.pk).update(node=-1 - item.node)
        ends.append(json.dumps([{"t": token.pk, "e": token.epoch, "then": "go", "o": "S", "ports": ["out"]}]))
    with one() as (first, observer):
        first.execute(statements.ADVANCE, (A, ends[0]))
        other = Second(statements.ADVANCE, A, ends[1])
        assert other.state(observer) == "waits"
        first.execute(statements.ADVANCE, (A, ends[2]))
    other.end()
    assert [item.node for item in UndoItem.objects.filter(run=run, state="undone")] == [2], "the others were taken back"
    assert UndoItem.objects.get(run=run, entry=entries["early"]).awaits == 2
