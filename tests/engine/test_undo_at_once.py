"""Two operators undo one run at the same moment."""

import threading

import pytest
from django.db import connection, connections

from orchestrator.core.errors import BranchlineError
from orchestrator.engine import statements
from orchestrator.models import AuditEntry, RunRecord
from orchestrator.services.undo import undo_run
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import own_connection
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return int(cursor.fetchone()[0])


def test_one_undoes_it_and_the_other_is_told(house: House) -> None:
    run_id = house.start(house.publish(document([step("w", "delay", config={"for": "PT1H"})])))
    answers: list[str] = []

    def ask(reason: str) -> None:
        try:
            answers.append(undo_run(run_id, house.actor, reason))
        except BranchlineError as refused:
            answers.append(refused.error_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask, args=(reason,)) for reason in ("mine", "yours")]
    with own_connection("holder") as holder, holder.transaction():
        holder.execute(statements.LOCK_RUN, (run_id,))
        for thread in threads:
            thread.start()
        wait_until(lambda: waiting() == 2, 10, "both to wait for the run")
    for thread in threads:
        thread.join(10)
    assert sorted(answers) == ["not_undoable", "undoing"]
    assert RunRecord.objects.filter(run_id=run_id, kind="undo_requested").count() == 1
    assert AuditEntry.objects.filter(action="run.undo").count() == 1
