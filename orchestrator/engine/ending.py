"""How an attempt ends: its outcome is committed, and the next step of its chain comes back, already leased.

A slot waits for the commit only where what follows depends on its answer. Else it goes on at once, and the answer is
heard in the committer's thread.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import psycopg
import structlog

from orchestrator.core.outcome import Fail, Outcome, StepFault
from orchestrator.core.settle import Settlement
from orchestrator.engine import items, observe, statements
from orchestrator.engine.aftermath import Aftermath
from orchestrator.engine.ahead import MOST_AHEAD, is_repeatable, next_ahead
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.claiming import PAUSE
from orchestrator.engine.committer import Item
from orchestrator.engine.database import AWAY, Row
from orchestrator.engine.end_items import EndItems
from orchestrator.engine.equipment import Equipment
from orchestrator.engine.lease import Lease
from orchestrator.engine.perform import Prepared, Tools
from orchestrator.engine.plans import VersionFacts

log = structlog.get_logger(__name__)
MOST_TRIES = 50  # of one attempt's end, where PostgreSQL answers but cannot work (a full disk)
MOST_QUEUED = 128  # ends that wait for their commit, before slots wait too
Commit = Callable[[Attempt, Outcome | None, Prepared | None], Attempt | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """An attempt whose end is on its way to the rows, and the attempt that began ahead of that commit."""

    attempt: Attempt
    outcome: Outcome
    ready: Prepared | None
    settled: Settlement
    following: Attempt | None


class Ender:
    """Ends one worker's attempts. Thread-safe.

    `chain(attempt)` goes on with a next step in the slot that calls it; `woken(queues)` hears of tokens now ready.
    """

    def __init__(
        self,
        equipment: Equipment,
        tools: Tools,
        ends: EndItems,
        aftermath: Aftermath,
        *,
        chain: Callable[[Attempt], None],
        woken: Callable[[list[str]], None],
    ) -> None:
        self._pool = equipment.pool
        self._plans = equipment.plans
        self._slots = equipment.slots
        self._attempts = equipment.attempts
        self._committer = equipment.committer
        self._stopping = equipment.stopping
        self._kinds = tools.kinds
        self._ends = ends
        self._aftermath = aftermath
        self._chain = chain
        self._woken = woken

    def end(self, attempt: Attempt, outcome: Outcome | None, ready: Prepared | None) -> Attempt | None:
        """End the attempt in the rows; the attempt of the next step when the chain stays here.

        No outcome: its token is at the end of the run. Nothing happens where its end was decided before.
        """
        return self._end_settled(attempt, outcome, ready, self._commit) if attempt.settle() else None

    def end_in_slot(self, attempt: Attempt, outcome: Outcome, ready: Prepared | None) -> None:
        """The same on the next free slot, which goes on with what follows."""
        self._slots.submit(lambda: self._go_on(self.end(attempt, outcome, ready)))

    def forget(self, attempt: Attempt) -> None:
        """It is over here: others may have its place in a limited queue."""
        if attempt.lease.queue_limit_id is not None:
            self._give_back(attempt.lease)
        self._attempts.forget(attempt)

    def _end_settled(
        self, attempt: Attempt, outcome: Outcome | None, ready: Prepared | None, commit: Commit
    ) -> Attempt | None:
        failure: Exception | None = None
        for _ in range(MOST_TRIES):
            try:
                return commit(attempt, outcome, ready)
            except AWAY as error:
                # A second call is safe: if the first one did commit, the fence refuses this one.
                failure = error
                if self._stopping.wait(PAUSE):
                    break
            except Exception as error:
                failure = error
                break
        self._give_up(attempt, failure, acted=outcome is not None)
        return None

    def _give_up(self, attempt: Attempt, error: Exception | None, *, acted: bool) -> None:
        lease = attempt.lease
        log.error("an attempt could not be ended", run=str(lease.run.run_id), node=lease.node, error=repr(error)[:500])
        item = items.give_up(lease, error) if acted else items.hand_back(lease)
        try:
            self._committer.advance(item)
        except Exception as second:
            # It stays leased to us and is returned as a stray, by the same words.
            self._attempts.leave(item)
            log.warning("a token could not be given back", node=lease.node, error=repr(second)[:200])
        self.forget(attempt)

    def _commit(self, attempt: Attempt, outcome: Outcome | None, ready: Prepared | None) -> Attempt | None:
        """Have the end committed, and wait for that only where what follows depends on it."""
        facts = self._facts(attempt.lease)
        observe.at_work(attempt.lease, observe.key_of(facts, attempt.lease))
        if outcome is None or self._committer.queued > MOST_QUEUED:
            return self._commit_and_wait(attempt, outcome, ready)
        settled, item = self._ends.of(attempt, facts, outcome, ready)
        following = self._ahead(attempt, facts, settled)
        if following is None and settled.effects.starts:
            return self._commit_and_wait(attempt, outcome, ready, (settled, item))
        ending = Ending(attempt=attempt, outcome=outcome, ready=ready, settled=settled, following=following)
        self._committer.submit(item, lambda row, error: self._heard(ending, row, error))
        return following

    def _ahead(self, attempt: Attempt, facts: VersionFacts, settled: Settlement) -> Attempt | None:
        """Begin the next step of a chain before this one's end is committed, where `ahead` allows it."""
        lease = attempt.lease
        chain = attempt.chain
        if chain.uncommitted >= MOST_AHEAD or self._stopping.is_set() or attempt.stop.is_set():
            return None
        node = next_ahead(self._kinds, facts.plan, lease, settled)
        if node is None:
            return None
        started_at = lease.started_at + timedelta(seconds=time.monotonic() - attempt.began)
        moved = lease.moved(node=node, epoch=lease.epoch + 1, started_at=started_at)
        following = self._attempts.ahead(chain, moved)
        if self._attempts.replace(attempt, following):
            return following
        self._attempts.came_home(chain)
        return None

    def _heard(self, ending: Ending, row: Row, error: Exception | None) -> None:
        """The end of an attempt whose slot did not wait is committed, or was refused."""
        attempt, following = ending.attempt, ending.following
        if following is not None:
            self._attempts.came_home(attempt.chain)
        if following is not None and (error is not None or row["status"] != "moved"):
            # Held, cancelled, taken over or refused: what began ahead never happened. Its end would be fenced, too.
            self._drop(following)
        if error is not None:
            self._end_again(ending)
        elif following is not None and row["status"] == "moved":
            self._aftermath.of(attempt, row, ending.settled)
        elif (after := self._after(attempt, row, ending.settled)) is not None:
            self._slots.submit(lambda: self._chain(after))

    def _drop(self, following: Attempt) -> None:
        following.stop.set()
        following.settle()
        self.forget(following)

    def _end_again(self, ending: Ending) -> None:
        """PostgreSQL refused this end: forget what ran ahead of it, and end it once more in a slot that waits."""
        attempt = ending.attempt
        before = attempt.lease
        attempt.lease = replace(before, seen={})
        self._attempts.put_back(attempt, before)
        again = ending.outcome, ending.ready
        self._slots.submit(lambda: self._go_on(self._end_settled(attempt, *again, self._commit_and_wait)))

    def _go_on(self, following: Attempt | None) -> None:
        if following is not None:
            self._chain(following)

    def _commit_and_wait(
        self,
        attempt: Attempt,
        outcome: Outcome | None,
        ready: Prepared | None,
        built: tuple[Settlement, Item] | None = None,
    ) -> Attempt | None:
        facts = self._facts(attempt.lease)
        if outcome is None:
            row = self._committer.advance(self._ends.of_run(facts, attempt.lease))
            return self._after(attempt, row, None)
        settled, item = built or self._ends.of(attempt, facts, outcome, ready)
        try:
            row = self._committer.advance(item, soon=is_repeatable(attempt.lease, ready, settled))
        except (psycopg.DataError, UnicodeError) as error:
            message = f"PostgreSQL refused the step's output: {error}"[:500]
            refused = Fail(StepFault(code="output_invalid", message=message))
            settled, item = self._ends.of(attempt, facts, refused, ready)
            row = self._committer.advance(item)
        return self._after(attempt, row, settled)

    def _after(self, attempt: Attempt, row: Row, settled: Settlement | None) -> Attempt | None:
        lease = attempt.lease
        self._aftermath.of(attempt, row, settled)
        if row["status"] != "moved":
            self.forget(attempt)
            return None
        following = Attempt(lease=lease.moved(node=row["node"], epoch=row["epoch"], started_at=row["started_at"]))
        if not self._attempts.replace(attempt, following):
            return None
        if self._stopping.is_set():
            self._committer.advance(items.hand_back(following.lease))
            self.forget(following)
            return None
        return following

    def _give_back(self, lease: Lease) -> None:
        """Its place in a limited queue is free: let the line hear of it. The keeper stands behind this."""
        try:
            with self._pool.connection() as connection:
                row = connection.execute(statements.GIVE_BACK, (lease.queue_limit_id,)).fetchone()
        except psycopg.Error as error:
            log.warning("a free place is left to the keeper", queue=lease.queue, error=str(error).strip()[:200])
            return
        if row is not None and row["opened"]:
            self._woken([lease.queue])

    def _facts(self, lease: Lease) -> VersionFacts:
        return self._plans.get(lease.run.version_id)
