"""Retention: what goes, what stays, in which order, and how much at once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from orchestrator.engine import statements
from orchestrator.engine.keeper import FORGET_LIMIT
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import (
    AuditEntry,
    Decision,
    Delivery,
    Gate,
    GateArrival,
    HumanTask,
    Payload,
    Run,
    RunRecord,
    Scope,
    StepLog,
    Token,
    UndoItem,
    Version,
)
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import cancel_run
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, make_house, make_tools, worker_at_work
from tests.engine.rows import own_connection, rows
from tests.factories import make_user
from tests.run_factories import make_delivery, make_event, make_run, new_run_id
from tests.waiting import wait_until

FORM = {"title": "Well?", "outcomes": [{"key": "yes", "label": "Yes"}]}
BELONGINGS: list[Any] = [StepLog, Gate, GateArrival, Payload, Scope, UndoItem, RunRecord, HumanTask, Delivery, Token]


def forget(limit: int = 200) -> int:
    return int(rows(statements.FORGET_RUNS, limit)[0]["forgotten"])


def age(*runs: UUID, days: float) -> None:
    assert Run.objects.filter(pk__in=runs).update(finished_at=timezone.now() - timedelta(days=days)) == len(runs)


def keep(house: House, days: int | None) -> None:
    house.workspace.keep_runs_days = days
    house.workspace.save()


def belongings(run: UUID) -> dict[str, int]:
    """How many rows of each table hang on the run."""
    return {model.__name__: model.objects.filter(run_id=run).count() for model in BELONGINGS}


def full_run(house: House) -> UUID:
    """An ended run with rows in every table that a run can leave some in."""
    steps = [step("a"), step("b"), step("c"), step("m", "merge"), step("ask", "human_task", config=FORM)]
    run_id = house.start(house.publish(document(steps, "a > b > m", "a > c > m", "m > ask")), {"text": "x" * 5000})
    wait_until(HumanTask.objects.filter(run_id=run_id).exists, 10, "the task to open")
    cancel_run(run_id, house.actor)
    house.end_of(run_id)
    task = HumanTask.objects.get(run_id=run_id)
    Decision.objects.create(task=task, user=make_user(f"u{task.pk.hex[:8]}"), outcome="yes", digest="d")
    row = StepLog.objects.filter(run_id=run_id)[0]
    Scope.objects.create(id=row.entry * 131_072, run_id=run_id, parent=0, node=0, token_id=1, state="C")
    make_delivery(make_event(house.workspace), Run.objects.get(pk=run_id), "a", "I")
    UndoItem.objects.create(run_id=run_id, entry=row.entry, node=row.node, state="not_needed")
    return run_id


def ended(version: Version, days: float, state: str = "succeeded", **more: Any) -> UUID:
    run = make_run(version, state=state, **more)
    age(run.pk, days=days)
    return run.pk


@pytest.fixture
def version(house: House) -> Version:
    keep(house, 30)
    return house.publish(document([step("a")]))


def test_an_old_run_goes_with_all_that_hangs_on_it(house: House, sandbox: Sandbox) -> None:
    with worker_at_work(make_tools(sandbox)) as house.worker, keeper_at_work(house.worker.poke):
        old, young = full_run(house), full_run(house)
    before = belongings(young)
    assert {name for name, count in before.items() if count == 0} == {"Token"}
    audited = AuditEntry.objects.count()
    age(old, days=31)
    age(young, days=29)
    assert forget() == 0, "without a policy nothing goes"
    keep(house, 30)
    assert forget() == 1
    assert forget() == 0
    assert not Run.objects.filter(pk=old).exists()
    assert set(belongings(old).values()) == {0}
    assert not Decision.objects.exclude(task__run_id=young).exists()
    assert belongings(young) == before
    assert Decision.objects.filter(task__run_id=young).count() == 1
    assert AuditEntry.objects.count() == audited
    assert AuditEntry.objects.filter(target=f"run {old}").exists()
    assert list(breaches(everything=True)) == []


def test_open_runs_and_stuck_undos_stay_however_old(version: Version) -> None:
    for state in ("running", "paused", "cancelling", "undoing"):
        make_run(version, state=state, started_at=timezone.now() - timedelta(days=400))
    ended(version, 400, "undo_stuck")
    assert forget() == 0
    for state in ("succeeded", "failed", "cancelled", "undone"):
        ended(version, 400, state)
    assert forget() == 4
    assert Run.objects.count() == 5


def test_each_workspace_has_its_own_policy(version: Version) -> None:
    other = make_house()
    theirs = ended(other.publish(document([step("a")])), 400)
    ours = ended(version, 31)
    assert forget() == 1
    assert list(Run.objects.values_list("pk", flat=True)) == [theirs]
    keep(other, 401)
    assert forget() == 0
    assert not Run.objects.filter(pk=ours).exists()


def open_again(run: UUID) -> None:
    Run.objects.filter(pk=run).update(state="running", finished_at=None)


def younger(run: UUID) -> None:
    age(run, days=29)


def stuck(run: UUID) -> None:
    Run.objects.filter(pk=run).update(state="undo_stuck")


@pytest.mark.parametrize("change", [open_again, younger, stuck])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_family_goes_whole_or_not_at_all(version: Version, change: Callable[[UUID], None], place: int) -> None:
    top = ended(version, 40)
    middle = ended(version, 40, parent_run_id=top, root_run_id=top, depth=1)
    deep = ended(version, 40, parent_run_id=middle, root_run_id=top, depth=2)
    one = (top, middle, deep)[place]
    change(one)
    assert forget() == 0
    assert Run.objects.count() == 3
    Run.objects.filter(pk=one).update(state="failed", finished_at=timezone.now() - timedelta(days=40))
    assert forget() == 3
    assert not Run.objects.exists()


def test_batches_take_the_oldest_first_and_children_before_parents(version: Version) -> None:
    young = [ended(version, 31 + number) for number in range(3)]
    top = ended(version, 90)
    children = [ended(version, 91, parent_run_id=top, root_run_id=top, depth=1) for _ in range(4)]
    assert forget(3) == 3
    left = set(Run.objects.values_list("pk", flat=True))
    assert len(left & set(children)) == 1
    assert left >= {top, *young}
    assert forget(3) == 3
    assert set(Run.objects.values_list("pk", flat=True)) == set(young[:2])
    assert [forget(3), forget(3)] == [2, 0]


def test_long_step_logs_make_a_batch_shorter(version: Version) -> None:
    old = [ended(version, 60 - number) for number in range(3)]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final,"
            " finished_at, cause, xid) SELECT i, r, 0, i, 0, 1, 'S', true, now(), '{}', 1"
            " FROM unnest(%s::uuid[]) r, generate_series(1, 12000) i",
            [old],
        )
    assert forget() == 2
    assert list(Run.objects.values_list("pk", flat=True)) == old[2:]
    assert StepLog.objects.count() == 12_000
    assert forget() == 1


@pytest.mark.parametrize("held", ["top", "child"])
def test_a_run_that_somebody_opens_again_is_left_alone(version: Version, held: str) -> None:
    top = ended(version, 40)
    child = ended(version, 40, parent_run_id=top, root_run_id=top, depth=1)
    with own_connection() as other, other.transaction():
        other.execute(statements.LOCK_RUN, [top if held == "top" else child])
        assert forget() == 0
        assert Run.objects.count() == 2
    assert forget() == 2


def test_the_keeper_carries_it_out_batch_by_batch(version: Version) -> None:
    stays = ended(version, 29)
    fill(version, FORGET_LIMIT * 2 + 1, days=50)
    with keeper_at_work(lambda: None):
        wait_until(lambda: Run.objects.count() == 1, 20, "the old runs to go")
    assert Run.objects.get().pk == stays


def fill(version: Version, count: int, *, days: int) -> None:
    """Many ended runs, written straight."""
    moment = timezone.now() - timedelta(days=days)
    Run.objects.bulk_create(
        Run(
            id=new_run_id(),
            workspace_id=version.workflow.workspace_id,
            workflow=version.workflow,
            version=version,
            state="succeeded",
            started_at=moment,
            finished_at=moment + timedelta(seconds=number),
            correlation_id="c",
            trigger="api",
        )
        for number in range(count)
    )


def test_due_runs_are_found_by_the_index_over_ends(version: Version) -> None:
    """As the planner chooses by itself, among thousands of runs that stay."""
    fill(version, 6000, days=3)
    fill(version, 20, days=40)
    with own_connection() as opened:
        opened.execute("ANALYZE orchestrator_run")
        opened.execute("ANALYZE orchestrator_workspace")
        opened.execute("PREPARE due(int) AS SELECT * FROM branchline_forgettable($1)")
        for mode in ("force_custom_plan", "force_generic_plan"):
            opened.execute(f"SET plan_cache_mode = {mode}")
            answer = opened.execute("EXPLAIN EXECUTE due(200)").fetchall()
            plan = "\n".join(row["QUERY PLAN"] for row in answer)
            assert "run_by_finish" in plan, plan
            assert "Seq Scan on orchestrator_run" not in plan, plan
    assert forget() == 20


@pytest.mark.parametrize("days", [0, -1, 36_501])
def test_the_table_itself_refuses_an_absurd_policy(house: House, days: int) -> None:
    with pytest.raises(IntegrityError, match="workspace_keeps_runs_days"), transaction.atomic():
        keep(house, days)
