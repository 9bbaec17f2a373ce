"""A step has acted, and neither its end nor a row of unknown outcome can be stored: nobody says that it did nothing."""

from uuid import UUID

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.control import pause_run
from orchestrator.services.undo import undo_run
from tests.engine.drawings import document, step
from tests.engine.house import House, keeper_at_work, leftovers, make_tools, worker_at_work
from tests.engine.kinds import Held, kinds
from tests.engine.rows import rows
from tests.engine.test_undo import ledger
from tests.harness.mutants import mutated
from tests.waiting import wait_until

#: As if the disk were full: no row of the log can be written.
FULL = (
    "v_entry := nextval('orchestrator_step_log_entry');\n            INSERT",
    "RAISE EXCEPTION 'full';\n            INSERT",
)
UNDO = {"kind": "transform", "config": {"value": 1}}


@pytest.fixture
def given_back(house: House, sandbox: Sandbox) -> UUID:
    """A paused run whose step has acted. Its end could not be stored, and then its token was given back."""
    held = Held(listens=False)
    known = kinds(held=held)
    version = house.publish(document([step("a", "held", undo=UNDO)]), kinds=known)
    with worker_at_work(make_tools(sandbox, known)) as worker:
        run_id = house.start(version)
        held.enter()
        with mutated("branchline_advance", FULL):
            held.release.set()
            assert worker._attempts.wait_for_none(10)
        token = Token.objects.get(run_id=run_id)
        assert (token.state, token.session_id) == ("L", worker.session_id)
        pause_run(run_id, house.actor)
        rows("UPDATE orchestrator_token SET started_at = started_at - interval '6 seconds' RETURNING id")
        wait_until(Token.objects.filter(run_id=run_id, state="H").exists, 10, "the stray to be given back")
    return run_id


def test_its_outcome_is_unknown(given_back: UUID) -> None:
    row = StepLog.objects.get(run_id=given_back)
    assert (row.outcome, row.attempt, row.final) == ("U", 1, False)
    assert row.error is not None
    assert (row.error["code"], "full" in row.error["message"]) == ("end_lost", True)
    token = Token.objects.get(run_id=given_back)
    assert (token.attempt, token.lost) == (1, 1), "what follows is another attempt"
    assert list(breaches()) == []


def test_an_undo_asks_a_person_about_it(house: House, sandbox: Sandbox, given_back: UUID) -> None:
    undo_run(given_back, house.actor)
    with worker_at_work(make_tools(sandbox)) as worker, keeper_at_work(worker.poke):
        run: Run = house.end_of(given_back)
    assert (run.state, ledger(run)) == ("undo_stuck", {"a": "unknown"})
    assert leftovers(given_back) == {}
