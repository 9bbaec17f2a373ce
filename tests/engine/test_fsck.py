"""`fsck` finds nothing in a sound database, and every fault that is planted."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from prometheus_client import REGISTRY

from orchestrator.models import (
    Delivery,
    Event,
    Gate,
    GateArrival,
    HumanTask,
    Payload,
    QueueLimit,
    Run,
    RunRecord,
    Scope,
    StepLog,
    Token,
    UndoItem,
)
from orchestrator.project.inspector import Inspector
from orchestrator.queries.fsck import INVARIANTS, breaches
from tests.engine.drawings import document, step
from tests.engine.house import House, make_tools, worker_at_work
from tests.waiting import wait_until

FORM = {"title": "Well?", "outcomes": [{"key": "yes", "label": "Yes"}]}


def waiting_run(house: House) -> UUID:
    """A run with a fired gate, whose token waits for a person."""
    steps = [step("a"), step("b"), step("c"), step("m", "merge"), step("ask", "human_task", config=FORM)]
    run_id = house.start(house.publish(document(steps, "a > b > m", "a > c > m", "m > ask")))
    wait_until(HumanTask.objects.filter(run_id=run_id).exists, 10, "the task to open")
    return run_id


def unguarded(statement: str, *arguments: Any) -> None:
    """Change rows as a bug would, past the tables' own guards."""
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)


def delivery(run: UUID, **more: Any) -> None:
    row = Run.objects.get(pk=run)
    event = Event.objects.filter(event_id=str(run)).first() or Event.objects.create(
        workspace_id=row.workspace_id, source="/test", event_id=str(run), type="told"
    )
    known = {"event": event, "run_id": run, "node": 0, "token_id": 0, "topic": f"{row.workspace_id}/told#"}
    Delivery.objects.create(**{**known, "state": "D", "ended_at": timezone.now(), **more})


def heard_twice(run: UUID) -> None:
    delivery(run)
    delivery(run, replay=1)


def heard_by_nobody(run: UUID) -> None:
    delivery(run, scope_id=7)


def missed_by_who_waits(run: UUID) -> None:
    workspace = Run.objects.get(pk=run).workspace_id
    Event.objects.create(workspace_id=workspace, source="/test", event_id=str(run), type="told")
    waiting = {"kind": "person", "topic": f"{workspace}/told#"}
    Token.objects.filter(run_id=run).update(waiting=waiting)


def never_delivered(run: UUID) -> None:
    delivery(run, state="P", ended_at=None, made_at=timezone.now() - timedelta(minutes=2))


def two_successes(run: UUID) -> None:
    unguarded("DROP INDEX step_once")
    row = StepLog.objects.filter(run_id=run).values().first()
    assert row is not None
    StepLog.objects.create(**{**row, "attempt": 9})


def gate_twice(run: UUID) -> None:
    Gate.objects.filter(run_id=run).update(decided=0)


def gate_miscounts(run: UUID) -> None:
    GateArrival.objects.filter(run_id=run, edge=0).delete()


def no_token(run: UUID) -> None:
    HumanTask.objects.filter(run_id=run).update(state="cancelled", closed_at=timezone.now())
    Token.objects.filter(run_id=run).delete()


def waits_for_nothing(run: UUID) -> None:
    HumanTask.objects.filter(run_id=run).update(state="cancelled", closed_at=timezone.now())


def dead_owner(run: UUID) -> None:
    HumanTask.objects.filter(run_id=run).update(state="cancelled", closed_at=timezone.now())
    Token.objects.filter(run_id=run).update(
        state="L", session_id=1, started_at=timezone.now() - timedelta(minutes=5), deadline_at=None
    )


def late_timer(run: UUID) -> None:
    Token.objects.filter(run_id=run).update(wake_at=timezone.now() - timedelta(minutes=5))


def remains(run: UUID) -> None:
    Run.objects.filter(pk=run).update(state="succeeded", finished_at=timezone.now())


def lost_token(run: UUID) -> None:
    Token.objects.filter(run_id=run).update(epoch=99)


def still_cancels(run: UUID) -> None:
    Gate.objects.filter(run_id=run).update(cancel_pending=True)


def undecided(run: UUID) -> None:
    HumanTask.objects.filter(run_id=run).update(state="done", outcome="yes", closed_at=timezone.now())


def two_tokens(run: UUID) -> None:
    row = Token.objects.filter(run_id=run).values().first()
    assert row is not None
    Token.objects.create(**{**row, "id": None, "epoch": 99, "wake_at": timezone.now() + timedelta(hours=1)})


def begun_again(run: UUID) -> None:
    done = StepLog.objects.filter(run_id=run, outcome="S").values_list("node", flat=True)[0]
    Token.objects.filter(run_id=run).update(node=done)


def outside_the_plan(run: UUID) -> None:
    Token.objects.filter(run_id=run).update(node=77)


def full_but_open(run: UUID) -> None:
    Gate.objects.filter(run_id=run).update(verdict="O", decided=0)


def never_drains(run: UUID) -> None:
    Run.objects.filter(pk=run).update(state="cancelling", control="C")
    long_ago = timezone.now() - timedelta(minutes=5)
    RunRecord.objects.filter(run_id=run).update(at=long_ago)
    RunRecord.objects.create(run_id=run, kind="cancel_requested", at=long_ago)


def held_for_ever(run: UUID) -> None:
    HumanTask.objects.filter(run_id=run).update(state="cancelled", closed_at=timezone.now())
    Token.objects.filter(run_id=run).update(state="H")


def queued_at_work(run: UUID) -> None:
    Run.objects.filter(pk=run).update(queued=True, concurrency_key="")


def queued_without_limit(run: UUID) -> None:
    Run.objects.filter(pk=run).update(queued=True)


def no_payload(run: UUID) -> None:
    row = StepLog.objects.filter(run_id=run).values().first()
    assert row is not None
    StepLog.objects.create(**{**row, "attempt": 9, "outcome": "F", "output_ref": uuid4()})


def outputs_of_nobody(run: UUID) -> None:
    Payload.objects.create(id=uuid4(), run_id=run, body={"run": str(run)}, block=5 * 131_072)


def paused_without_control(run: UUID) -> None:
    Run.objects.filter(pk=run).update(state="paused")


def no_body(run: UUID) -> None:
    Token.objects.filter(run_id=run).update(waiting={"kind": "body"}, inner_scope=5 * 131_072 + 1)


def no_container(run: UUID) -> None:
    Token.objects.filter(run_id=run).update(scope_id=5 * 131_072 + 1)


def waits_in_a_closed_container(run: UUID) -> None:
    Scope.objects.create(id=5 * 131_072, run_id=run, parent=0, node=0, token_id=1, state="C")
    Token.objects.filter(run_id=run).update(scope_id=5 * 131_072 + 1)


def never_empty(run: UUID) -> None:
    ago = timezone.now() - timedelta(minutes=5)
    Scope.objects.create(id=5 * 131_072, run_id=run, parent=0, node=0, token_id=1, state="C", draining_since=ago)


def item_counted_twice(run: UUID) -> None:
    Scope.objects.create(id=5 * 131_072, run_id=run, parent=0, node=0, token_id=1, total=2, next=1, ok=2)


def orphan(run: UUID) -> None:
    Run.objects.filter(pk=run).update(parent_run_id=uuid4())


def ledger_too_early(run: UUID) -> None:
    Run.objects.filter(pk=run).update(state="undoing", control="K", closing={"ledger": True})


def undo_without_token(run: UUID) -> None:
    UndoItem.objects.create(run_id=run, entry=1, node=0, state="running")


def undone_unseen(run: UUID) -> None:
    UndoItem.objects.create(run_id=run, entry=1, node=0, state="undone")


def undone_too_early(run: UUID) -> None:
    UndoItem.objects.create(run_id=run, entry=1, node=0, state="waiting", awaits=1)
    Run.objects.filter(pk=run).update(state="undone", finished_at=timezone.now())


def child_not_undone(run: UUID) -> None:
    row = Run.objects.filter(pk=run).values().get()
    UndoItem.objects.create(run_id=run, entry=1, node=0, state="not_needed")
    Run.objects.filter(pk=run).update(state="undone", finished_at=timezone.now())
    place = {"parent_run_id": run, "parent_node": 0, "parent_scope": 0, "parent_generation": 0}
    Run.objects.create(**{**row, "id": uuid4(), "state": "cancelled", "finished_at": timezone.now(), **place})


def beyond_the_limit(run: UUID) -> None:
    workspace = Run.objects.get(pk=run).workspace_id
    ago = timezone.now() - timedelta(minutes=1)
    found = QueueLimit.objects.create(workspace_id=workspace, queue="default", concurrency=1, changed_at=ago)
    leased: dict[str, Any] = {"state": "L", "session_id": 1, "started_at": timezone.now(), "queue_limit_id": found.pk}
    for node in (0, 1):
        Token.objects.create(run_id=run, version_id=0, node=node, queue="default", **leased)


def line_of_nobody(run: UUID) -> None:
    Token.objects.filter(run_id=run).update(state="R", wake_at=None, queue_limit_id=1)


FAULTS: dict[str, Callable[[UUID], None]] = {
    "I1 one success": two_successes,
    "I1 one token per step": two_tokens,
    "I1 what has succeeded does not begin again": begun_again,
    "I2 tokens stand in the plan": outside_the_plan,
    "I3 gate decided once": gate_twice,
    "I3 full gates are decided": full_but_open,
    "I3 gate agrees with its arrivals": gate_miscounts,
    "I4 open runs can go on": no_token,
    "I4 cancelled runs drain": never_drains,
    "I4 only a pause holds": held_for_ever,
    "I4 a queued run begins nothing": queued_at_work,
    "I4 queued runs have a limit": queued_without_limit,
    "I9 payloads are there": no_payload,
    "I9 outputs are there": outputs_of_nobody,
    "I10 state and control agree": paused_without_control,
    "I5 leases have an owner": waits_for_nothing,
    "I7 dead workers hold nothing": dead_owner,
    "I11 timers fire": late_timer,
    "I12 events are used once": heard_twice,
    "I12 waits miss no event": missed_by_who_waits,
    "I12 delivered events move their step": heard_by_nobody,
    "I14 deliveries end": never_delivered,
    "I15 containers have a body": no_body,
    "I15 scopes have their container": no_container,
    "I15 nothing waits in a closed container": waits_in_a_closed_container,
    "I15 closed containers drain": never_empty,
    "I15 items are counted once": item_counted_twice,
    "I18 children have a parent": orphan,
    "I16 a ledger follows the drain": ledger_too_early,
    "I16 undo items at work have a token": undo_without_token,
    "I16 what is undone was settled in order": undone_unseen,
    "I16 undone runs are undone": undone_too_early,
    "I16 sub-workflows are undone with their run": child_not_undone,
    "I17 nothing remains of a closed run": remains,
    "I17 decided joins let go": still_cancels,
    "I17 tasks have their token": lost_token,
    "I19 limits of queues hold": beyond_the_limit,
    "I19 lines are known": line_of_nobody,
    "F8 done tasks have a decision": undecided,
}


def test_every_invariant_has_its_fault() -> None:
    assert set(FAULTS) == {invariant.name for invariant in INVARIANTS}


@pytest.fixture
def run(house: House, request: pytest.FixtureRequest) -> UUID:
    # The worker is gone before the fault is planted: nobody repairs it.
    with worker_at_work(make_tools(request.getfixturevalue("sandbox"))) as house.worker:
        return waiting_run(house)


def counted(name: str) -> float:
    return REGISTRY.get_sample_value("branchline_fsck_faults_total", {"invariant": name}) or 0.0


def test_the_inspector_counts_and_logs_what_it_finds(run: UUID, caplog: pytest.LogCaptureFixture) -> None:
    name = "I2 tokens stand in the plan"
    before = counted(name)
    outside_the_plan(run)
    inspector = Inspector(pace=0.01)
    inspector.start()
    try:
        wait_until(lambda: counted(name) > before, 10, "the fault to be counted")
    finally:
        inspector.stop()
    assert str(run) in caplog.text


def test_old_runs_are_looked_at_when_everything_is(run: UUID) -> None:
    gate_miscounts(run)
    old = UUID(int=1)
    for table in ("gate", "gate_arrival"):
        unguarded(f"UPDATE orchestrator_{table} SET run_id = %s WHERE run_id = %s", old, run)
    HumanTask.objects.all().delete()
    Token.objects.all().delete()
    Run.objects.filter(pk=run).update(id=old, state="succeeded", finished_at=timezone.now())
    assert list(breaches()) == []
    assert {breach.run for breach in breaches(everything=True)} == {str(old)}
    with pytest.raises(SystemExit):
        call_command("fsck", "--all")


@pytest.mark.parametrize("name", FAULTS)
def test_it_finds_the_fault(run: UUID, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(breaches()) == []
    call_command("fsck")
    try:
        FAULTS[name](run)
        assert (name, str(run)) in {(breach.invariant.name, breach.run) for breach in breaches()}
        with pytest.raises(SystemExit) as ended:
            call_command("fsck")
        assert ended.value.code == 1
    finally:
        StepLog.objects.filter(attempt=9).delete()
        unguarded(
            "CREATE UNIQUE INDEX IF NOT EXISTS step_once ON orchestrator_steplog (run_id, node, scope_id, generation)"
            " WHERE outcome = 'S'"
        )
