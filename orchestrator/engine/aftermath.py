"""What follows a commit beside the next step: people and sockets are told, undos begin, unwanted branches end."""

from collections.abc import Callable
from typing import Any, Protocol

import psycopg
import structlog

from orchestrator.core.settle import Settlement, may_cancel
from orchestrator.engine import observe, statements
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.database import Row
from orchestrator.engine.lease import Lease
from orchestrator.engine.plans import Plans, VersionFacts
from orchestrator.engine.undo import write_ledgers

log = structlog.get_logger(__name__)


class Told(Protocol):
    """Tells of a run that moved; `task` when a human task opened or closed with it, `event` when one came to a step."""

    def __call__(self, lease: Lease, *, task: bool = False, event: bool = False) -> None: ...


class Aftermath:
    """`woken(queues)` hears of tokens now ready, `unwanted(token_id)` of attempts whose branch was cancelled."""

    def __init__(
        self,
        pool: Any,
        plans: Plans,
        *,
        told: Told,
        woken: Callable[[list[str]], None],
        unwanted: Callable[[int], None],
    ) -> None:
        self._pool = pool
        self._plans = plans
        self._told = told
        self._woken = woken
        self._unwanted = unwanted

    def of(self, attempt: Attempt, row: Row, settled: Settlement | None) -> None:
        """Do what this answer of `branchline_advance` asks for. `settled` is None for the end of the run itself."""
        lease = attempt.lease
        facts = self._facts(lease)
        observe.attempt_ended(attempt, facts, settled, row["status"])
        if settled is not None:
            begins_to_wait, has_looked = settled.awaited is not None, "no" in (lease.signal or ())
            self._told(lease, task=settled.form is not None, event=begins_to_wait or has_looked)
        else:
            self._told(lease)
        try:
            if row["status"] == "cancelled":
                self._drain(lease)
            elif self._may_undo(facts, row, settled):
                self._write_ledgers(lease)
            elif settled is not None and may_cancel(facts.plan, settled):
                self.cancel_branches(lease)
        except psycopg.Error as error:  # a deadlock, too: the commit stands, and so does the keeper behind the rest
            log.warning("the rest is left to the keeper", run=str(lease.run.run_id), error=str(error).strip()[:200])

    def cancel_branches(self, lease: Lease) -> None:
        """End what a join decided by this very commit no longer wants."""
        with self._pool.connection() as connection:
            rows = connection.execute(statements.CANCEL_BRANCHES, (lease.run.run_id,)).fetchall()
        for row in rows:
            self._unwanted(row["token_id"])
        if rows:
            self._woken([row["queue"] for row in rows if row["queue"] is not None])
            self._told(lease, task=True)

    def _drain(self, lease: Lease) -> None:
        with self._pool.connection() as connection:
            connection.execute(statements.DRAIN, (lease.run.run_id,))
        self._write_ledgers(lease)

    def _may_undo(self, facts: VersionFacts, row: Row, settled: Settlement | None) -> bool:
        """Whether what was just committed may have made an undo due: the failure of a run, of a scope, of a child."""
        if row["status"] == "ended":
            return facts.plan.on_failure == "undo"
        return settled is not None and settled.then in ("undo_inside", "undo_child")

    def _write_ledgers(self, lease: Lease) -> None:
        with self._pool.connection() as connection:
            queues = write_ledgers(connection, lambda version_id: self._plans.get(version_id).plan)
        if queues:
            self._woken(queues)
        self._told(lease)

    def _facts(self, lease: Lease) -> VersionFacts:
        return self._plans.get(lease.run.version_id)
