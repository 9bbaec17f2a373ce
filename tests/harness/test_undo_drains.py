"""I16: a ledger is written when the last forward step has ended, not before: what ends later would never be undone."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from uuid import UUID

import pytest

from orchestrator.engine import statements
from orchestrator.engine.database import Connection
from orchestrator.engine.plans import LonePlans
from orchestrator.engine.undo import write_ledgers
from orchestrator.models import Run, StepLog, UndoItem
from orchestrator.queries.fsck import breaches
from orchestrator.services.undo import undo_run
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import beat, claim, finish, own_connection, rows
from tests.harness.faults import Breached
from tests.harness.mutants import mutated

A = 11
UNDO = {"kind": "transform", "config": {"value": 1}}


def write(database: Connection) -> None:
    """What a keeper's sweep does."""
    plans = LonePlans(lambda: database)
    write_ledgers(database, plans.of)


def undone_while_a_step_runs(house: House) -> None:
    """A whole run is undone while one of its two steps is leased; that step then succeeds."""
    run_id = house.start(house.publish(document([step("a", undo=UNDO), step("b", undo=UNDO)])))
    beat(A)
    first, late = claim(A, 2)
    finish(A, first)
    undo_run(run_id, house.actor)
    _ledger_waits_for(run_id, late)


def failed_scope_while_a_step_runs(house: House) -> None:
    """The same for a container whose body has failed: it is closed just as one of its steps moves."""
    box = step("box", "scope", config={"on_failure": "undo"})
    inside = [step("a", undo=UNDO, parent="box"), step("b", undo=UNDO, parent="box")]
    run_id = house.start(house.publish(document([box, *inside])))
    beat(A)
    (outer,) = claim(A)
    starts = [{"node": node, "queue": "default", "timeout": 30} for node in (1, 2)]
    call = {"t": outer["id"], "e": outer["epoch"], "then": "open", "waiting": {"kind": "scope", "text": "in the box"}}
    rows(statements.ADVANCE, A, json.dumps([{**call, "scope": {"index": 1, "starts": starts}}]))
    first, late = claim(A, 2)
    finish(A, first)
    rows("UPDATE orchestrator_token SET state = 'R', epoch = epoch + 1 WHERE node = 0 RETURNING id")
    (outer,) = claim(A)
    call = {"t": outer["id"], "e": outer["epoch"], "then": "undo_inside", "waiting": {"kind": "undo", "text": "undo"}}
    with own_connection("mover") as mover, mover.transaction():
        mover.execute("SELECT FROM orchestrator_token WHERE id = %s FOR UPDATE", (late["id"],))
        rows(statements.ADVANCE, A, json.dumps([call]))
    _ledger_waits_for(run_id, late)


def _ledger_waits_for(run_id: UUID, late: dict[str, object]) -> None:
    with own_connection("keeper") as database:
        write(database)
        if UndoItem.objects.filter(run_id=run_id).exists():
            raise Breached("I16 drain before undo", "a ledger was written while a forward step was leased")
        finish(A, late)
        write(database)
    succeeded = set(StepLog.objects.filter(run_id=run_id, outcome="S").values_list("entry", flat=True))
    listed = set(UndoItem.objects.filter(run_id=run_id, state="running").values_list("entry", flat=True))
    if listed != succeeded or len(listed) != 2:
        raise Breached("I16 what happened is undone", f"{succeeded} succeeded, {listed} are undone")
    assert Run.objects.get(pk=run_id).finished_at is None
    assert list(breaches()) == []


SCENES = [undone_while_a_step_runs, failed_scope_while_a_step_runs]


@pytest.mark.parametrize("scene", SCENES)
def test_a_ledger_waits_for_the_last_forward_step(house: House, scene: Callable[[House], None]) -> None:
    scene(house)


WHOLE_RUN = ("AND NOT EXISTS (SELECT 1 FROM orchestrator_token k WHERE k.run_id = p_run)", "")
PENDING = ("AND NOT EXISTS (SELECT 1 FROM orchestrator_token k WHERE k.run_id = r.id)", "")
SCOPE = ("branchline_block(k.scope_id) IN (SELECT branchline_blocks_inside(p_run, p_boundary))", "false")


@pytest.mark.parametrize("scene", SCENES)
def test_an_undo_without_drain_is_seen(house: House, scene: Callable[[House], None]) -> None:
    with ExitStack() as stack:
        stack.enter_context(mutated("branchline_undo_due", WHOLE_RUN, SCOPE))
        stack.enter_context(mutated("branchline_pending_undo", PENDING))
        with pytest.raises(Breached, match="I16 drain before undo"):
            scene(house)
