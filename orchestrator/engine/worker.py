"""A worker process: claims tokens, performs their steps in slots, and advances them, until there is nothing left.

The Celery message is only a poke. A slot keeps its chain (claim -> run -> advance -> run ...): the next step comes
back from `advance` already leased. `async def` handlers leave their slot for the event loop and come back when done.
"""

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import psycopg
import structlog

from orchestrator.core.outcome import Fail, Outcome, StepFault
from orchestrator.core.settle import Settlement
from orchestrator.engine import items, observe, pokes, statements
from orchestrator.engine.aftermath import Aftermath
from orchestrator.engine.ahead import MOST_AHEAD, is_repeatable, next_ahead
from orchestrator.engine.attempt import Attempt, Ending
from orchestrator.engine.attempts import Attempts
from orchestrator.engine.claiming import PAUSE, Claimer
from orchestrator.engine.committer import Committer, Item
from orchestrator.engine.context import StopSign
from orchestrator.engine.database import AWAY, Row, Standing, open_pool
from orchestrator.engine.dispatch import MOST_WAKES, STAND_BACK, Herald
from orchestrator.engine.end_items import EndItems
from orchestrator.engine.identity import new_session_id
from orchestrator.engine.inside import Insides
from orchestrator.engine.lane import Lane
from orchestrator.engine.lease import LANE, Lease
from orchestrator.engine.perform import Prepared, Tools, prepare, too_slow, unexpected
from orchestrator.engine.plans import Plans, VersionFacts
from orchestrator.engine.roots import Roots
from orchestrator.engine.slots import Slots
from orchestrator.engine.upkeep import Upkeep
from orchestrator.engine.watch import AGAIN, LONGEST, Watch

log = structlog.get_logger(__name__)
LOOK_AFTER = 1.0  # seconds between looks for cancelled runs and strays
MOST_TRIES = 50  # of one attempt's end, where PostgreSQL answers but cannot work (a full disk)
MOST_QUEUED = 128  # ends that wait for their commit, before slots wait too
Commit = Callable[[Attempt, Outcome | None, Prepared | None], Attempt | None]


class Worker:
    """All that one pool process does for the engine. `start`, `poke` and `stop` are called by the Celery shell."""

    def __init__(self, node_id: UUID, queues: Iterable[str], tools: Tools, *, slots: int = 12) -> None:
        self.node_id = node_id
        self.session_id = session_id = new_session_id()
        self.queues = list(queues)
        self._tools = tools
        self._pool = open_pool("worker", 4)
        self._plans = Plans(self._pool)
        roots = Roots(self._pool)
        self._insides = Insides(self._pool, roots)
        self._ends = EndItems(self._pool, self._plans, tools.sandbox, roots)
        self._loop = asyncio.new_event_loop()
        self._herald = Herald()
        self._committer = Committer(session_id, self._became_ready, lambda: self._claimer.committed())
        self._aftermath = Aftermath(
            self._pool, self._plans, told=self._told, woken=self._became_ready, unwanted=self._stop_unwanted
        )
        self._attempts = Attempts()
        self._stopping = threading.Event()
        self._watch = Watch(self._look_for_late)
        self._slots = Slots(slots, lambda: self._claimer.freed(), self._crowded)
        work = self._slots, self._attempts, self._committer
        self._claimer = Claimer(session_id, self.queues, *work, begin=self._begin, began=self._told_soon)
        self._upkeep = Upkeep(node_id, self.queues, self._attempts, self._committer, self._stop_attempt)

    def start(self) -> None:
        """Register the session and start the threads; returns at once."""
        with self._pool.connection() as connection:
            connection.execute(statements.REPLACE, (self.node_id, os.getpid(), self.session_id))
            self._upkeep.register(connection)
        for name, target in (("loop", self._run_loop), ("look-after", self._look_after)):
            threading.Thread(target=target, name=name, daemon=True).start()
        self._watch.start()
        self._claimer.start()

    def poke(self) -> None:
        """There may be work."""
        self._claimer.poke()

    def look(self) -> None:
        """There is work: claim it on the caller's thread if possible."""
        self._claimer.look()

    def beat(self) -> None:
        """Say that this process lives, where no node does it."""
        with self._pool.connection() as connection:
            connection.execute(statements.BEAT, (self.node_id, [os.getpid()]))

    def stop(self, grace: float) -> None:
        """Claim nothing more, let attempts end within `grace` seconds, hand the rest of their chains back."""
        self._stopping.set()
        self._watch.stop()
        # What it claims right now must still be begun, and handed on, below.
        self._claimer.stop(grace)
        self._slots.withdraw()
        self._attempts.wait_for_none(grace)
        self._herald.stop()
        self._slots.stop()
        if not self._attempts:
            self._committer.close()
            with self._pool.connection() as connection:
                connection.execute(statements.END_SESSION, (self.session_id,))
        self._pool.close(timeout=1)
        self._loop.call_soon_threadsafe(self._loop.stop)

    # --- Beginning an attempt ---------------------------------------------------------------------------------------

    def _begin(self, lease: Lease) -> None:
        attempt, before = self._attempts.take_up(lease)
        if attempt is None:
            return
        if before is not None:
            self._displace(before)
        self._slots.submit(lambda: self._begun(attempt), lambda: self._hand_back(attempt))

    def _displace(self, before: Attempt) -> None:
        """Its token was taken over and came back by a new claim: its handler is told, and its end is ignored."""
        if not before.settle():
            return
        self._stop_attempt(before)
        if before.task is None and before.thread_id is not None:
            self._slots.give_up(before.thread_id)

    def _begun(self, attempt: Attempt) -> None:
        """Its turn has come. What was displaced, cancelled or taken away while it waited does not begin."""
        if not attempt.stop.is_set():
            self._chain(attempt)
        elif not attempt.is_settled():
            self._hand_back(attempt)

    def _hand_back(self, attempt: Attempt) -> None:
        """Let others have what was claimed and has not begun. If that fails, it is returned as a stray."""
        self._committer.submit(items.hand_back(attempt.lease), lambda row, error: self._forget(attempt))

    # --- The chain --------------------------------------------------------------------------------------------------

    def _chain(self, first: Attempt) -> None:
        attempt: Attempt | None = first
        if first.lease.phase == LANE:
            self._in_lane(first)
            return
        while attempt is not None and not attempt.is_settled():
            ready = self._prepared(attempt)
            if isinstance(ready, Prepared) and ready.is_async:
                self._leave_for_loop(attempt, ready)
                return
            if isinstance(ready, Prepared):
                outcome = self._call(attempt, ready)
                attempt = self._end(attempt, outcome, ready)
            else:
                attempt = self._end(attempt, ready, None)

    def _in_lane(self, attempt: Attempt) -> None:
        attempt.thread_id = threading.get_ident()
        try:
            facts = self._facts(attempt.lease)
            lane = Lane(self._pool, self.session_id, self._prepare, facts, attempt, self._stopping, self._watch.heed)
            attempt.lane = lane
            self._lane_ended(attempt, lane.run())
        except Exception as error:
            # It stays leased to us and is returned as a stray: what was not stored is done again.
            log.warning("a lane was lost", run=str(attempt.lease.run.run_id), error=repr(error)[:500])
            self._forget(attempt)

    def _lane_ended(self, attempt: Attempt, queues: list[str]) -> None:
        self._forget(attempt)
        if queues:
            self._became_ready(queues)
        self._herald.changed(attempt.lease.run.workspace_id, attempt.lease.run.run_id)

    def _prepare(self, facts: VersionFacts, lease: Lease, stop: StopSign) -> Prepared | Outcome:
        return prepare(self._tools, self._insides, facts, lease, stop)

    def _prepared(self, attempt: Attempt) -> Prepared | Outcome | None:
        lease = attempt.lease
        while True:
            try:
                facts = self._facts(lease)
                observe.at_work(lease, observe.key_of(facts, lease))
                if lease.node == facts.plan.end:
                    return None
                return self._prepare(facts, lease, attempt.stop)
            except AWAY:
                # The handler has not begun: an absent database must not cost the step an attempt.
                if self._stopping.wait(PAUSE):
                    raise
            except Exception as error:
                log.warning(
                    "a step could not be prepared", run=str(lease.run.run_id), node=lease.node, error=repr(error)[:200]
                )
                return unexpected(error)

    def _call(self, attempt: Attempt, ready: Prepared) -> Outcome:
        attempt.thread_id = threading.get_ident()
        attempt.deadline = deadline = time.monotonic() + ready.context.timeout
        self._watch.heed(deadline)
        try:
            outcome: Outcome = ready.call()
        except Exception as error:
            ready.context.note(error)
            return unexpected(error)
        return outcome

    def _leave_for_loop(self, attempt: Attempt, ready: Prepared) -> None:
        def begin() -> None:
            attempt.task = self._loop.create_task(self._await(attempt, ready))

        self._loop.call_soon_threadsafe(begin)

    async def _await(self, attempt: Attempt, ready: Prepared) -> None:
        outcome: Outcome | None = None
        observe.at_work(attempt.lease, ready.context.step_key)
        try:
            async with asyncio.timeout(ready.context.timeout):
                outcome = await ready.call()
        except TimeoutError:
            outcome = too_slow(self._facts(attempt.lease).plan.step(attempt.lease.node).name, ready.context.timeout)
        except asyncio.CancelledError:
            outcome = Fail(StepFault(code="cancelled", message="The run was cancelled."))
        except Exception as error:
            ready.context.note(error)
            outcome = unexpected(error)
        ended = outcome
        self._slots.submit(lambda: self._come_back(attempt, ended, ready))

    def _come_back(self, attempt: Attempt, outcome: Outcome, ready: Prepared) -> None:
        self._go_on(self._end(attempt, outcome, ready))

    # --- Ending an attempt ------------------------------------------------------------------------------------------

    def _end(self, attempt: Attempt, outcome: Outcome | None, ready: Prepared | None) -> Attempt | None:
        """End the attempt in the rows; the attempt of the next step when the chain stays here."""
        return self._end_settled(attempt, outcome, ready, self._commit) if attempt.settle() else None

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
        try:
            self._committer.advance(items.give_up(lease, error) if acted else items.hand_back(lease))
        except Exception as second:
            # It stays leased to us and is returned as a stray.
            log.warning("a token could not be given back", node=lease.node, error=repr(second)[:200])
        self._forget(attempt)

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
        if chain.uncommitted >= MOST_AHEAD or self._stopping.is_set():
            return None
        node = next_ahead(self._tools.kinds, facts.plan, lease, settled)
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
        self._forget(following)

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
            self._forget(attempt)
            return None
        following = Attempt(lease=lease.moved(node=row["node"], epoch=row["epoch"], started_at=row["started_at"]))
        if not self._attempts.replace(attempt, following):
            return None
        if self._stopping.is_set():
            self._committer.advance(items.hand_back(following.lease))
            self._forget(following)
            return None
        return following

    def _forget(self, attempt: Attempt) -> None:
        if attempt.lease.queue_limit_id is not None:
            self._give_back(attempt.lease)
        self._attempts.forget(attempt)

    def _give_back(self, lease: Lease) -> None:
        """Its place in a limited queue is free: let the line hear of it. The keeper stands behind this."""
        try:
            with self._pool.connection() as connection:
                row = connection.execute(statements.GIVE_BACK, (lease.queue_limit_id,)).fetchone()
        except psycopg.Error as error:
            log.warning("a free place is left to the keeper", queue=lease.queue, error=str(error).strip()[:200])
            return
        if row is not None and row["opened"]:
            self._became_ready([lease.queue])

    def _facts(self, lease: Lease) -> VersionFacts:
        return self._plans.get(lease.run.version_id)

    def _became_ready(self, queues: list[str]) -> None:
        if not set(self.queues).isdisjoint(queues):
            self._claimer.poke()
        counts = Counter(queues)
        for queue, count in list(counts.items()):
            # More than this process can do: others need not wait for the message, which only stands behind their pokes.
            if count > self._slots.size and pokes.poke(queue, MOST_WAKES):
                counts[queue] = 1
        self._herald.ready(list(counts.elements()))

    def _told(self, lease: Lease, *, task: bool = False, event: bool = False) -> None:
        self._herald.changed(lease.run.workspace_id, lease.run.run_id, task=task, event=event)

    def _told_soon(self, lease: Lease) -> None:
        self._herald.changed(lease.run.workspace_id, lease.run.run_id, after=STAND_BACK)

    def _stop_unwanted(self, token_id: int) -> None:
        attempt = self._attempts.at(token_id)
        if attempt is not None:
            self._stop_attempt(attempt)

    # --- Watching ---------------------------------------------------------------------------------------------------

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _look_for_late(self) -> float:
        """Give up slots whose handler overstays: its time-out is committed here, its late answer is ignored."""
        if self._slots.is_jammed():
            self._slots.withdraw()
        now = time.monotonic()
        again = now + (AGAIN if self._slots.is_crowded else LONGEST)
        for attempt in self._attempts.all():
            deadline = attempt.deadline
            if deadline is None or now <= deadline:
                again = min(again, deadline or again)
                continue
            # Its end may be on its way to the rows for longer.
            again = min(again, now + AGAIN)
            try:
                self._overstayed(attempt)
            except Exception as error:  # the next one is watched all the same
                log.warning("a late step could not be stopped", error=repr(error)[:200])
        return again

    def _crowded(self) -> None:
        self._watch.heed(time.monotonic() + AGAIN)

    def _overstayed(self, attempt: Attempt) -> None:
        lease = attempt.lease
        step = self._facts(lease).plan.step(lease.node)
        if attempt.thread_id is None or not (attempt.settle() if attempt.lane is None else attempt.lane.settle_late()):
            return
        attempt.stop.set()
        self._slots.give_up(attempt.thread_id)
        if attempt.lane is not None:
            self._lane_ended(attempt, attempt.lane.overstayed())
            return
        late = Attempt(lease=lease, began=attempt.began)
        self._attempts.put(late)
        self._slots.submit(lambda: self._continue(late, too_slow(step.name, step.timeout)))

    def _continue(self, attempt: Attempt, outcome: Outcome) -> None:
        self._go_on(self._end(attempt, outcome, None))

    def _look_after(self) -> None:
        connection = Standing("look-after")
        while not self._stopping.wait(LOOK_AFTER):
            try:
                self._upkeep.see_to(connection.get())
            except Exception as error:
                log.warning("cannot look after runs, trying again", error=str(error).strip()[:200])
        connection.close()

    def _stop_attempt(self, attempt: Attempt) -> None:
        attempt.stop.set()
        if attempt.task is not None:
            self._loop.call_soon_threadsafe(attempt.task.cancel)
