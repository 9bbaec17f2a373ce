"""A worker process: claims tokens, performs their steps in slots, and advances them, until there is nothing left.

The Celery message is only a poke. A slot keeps its chain (claim -> run -> advance -> run ...): the next step comes
back from `advance` already leased. `async def` handlers leave their slot for the event loop and come back when done.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterable
from uuid import UUID

import structlog

from orchestrator.core.outcome import Outcome
from orchestrator.engine import items, observe, pokes, statements
from orchestrator.engine.aftermath import Aftermath
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.attempts import Attempts
from orchestrator.engine.awaiting import Awaiting
from orchestrator.engine.claiming import PAUSE, Claimer
from orchestrator.engine.committer import Committer
from orchestrator.engine.context import StopSign
from orchestrator.engine.database import AWAY, Standing, open_pool
from orchestrator.engine.dispatch import MOST_WAKES, STAND_BACK, Herald
from orchestrator.engine.end_items import EndItems
from orchestrator.engine.ending import Ender
from orchestrator.engine.equipment import Equipment
from orchestrator.engine.identity import new_session_id
from orchestrator.engine.inside import Insides
from orchestrator.engine.lane import Lane
from orchestrator.engine.lease import LANE, Lease
from orchestrator.engine.overstaying import Overstaying
from orchestrator.engine.perform import Prepared, Tools, prepare, unexpected
from orchestrator.engine.plans import Plans, VersionFacts
from orchestrator.engine.roots import Roots
from orchestrator.engine.slots import Slots
from orchestrator.engine.upkeep import Upkeep
from orchestrator.engine.watch import AGAIN, Watch

log = structlog.get_logger(__name__)
LOOK_AFTER = 1.0  # seconds between looks for cancelled runs and strays


class Worker:
    """All that one pool process does for the engine. `start`, `poke` and `stop` are called by the Celery shell."""

    def __init__(self, node_id: UUID, queues: Iterable[str], tools: Tools, *, slots: int = 12) -> None:
        self.node_id = node_id
        self.session_id = session_id = new_session_id()
        self.queues = list(queues)
        self._tools = tools
        self._pool = open_pool("worker", 4)
        self._plans = Plans(self._pool)
        self._herald = Herald()
        self._stopping = threading.Event()
        self._attempts = Attempts()
        self._committer = Committer(session_id, self._became_ready, lambda: self._claimer.committed())
        self._slots = Slots(slots, lambda: self._claimer.freed(), self._crowded)
        equipment = Equipment(
            pool=self._pool,
            plans=self._plans,
            slots=self._slots,
            attempts=self._attempts,
            committer=self._committer,
            stopping=self._stopping,
        )
        roots = Roots(self._pool)
        self._insides = Insides(self._pool, roots)
        ends = EndItems(self._pool, self._plans, tools.sandbox, roots)
        aftermath = Aftermath(
            self._pool, self._plans, told=self._told, woken=self._became_ready, unwanted=self._stop_unwanted
        )
        self._ender = Ender(equipment, tools, ends, aftermath, chain=self._chain, woken=self._became_ready)
        self._awaiting = Awaiting(self._plans, self._ender)
        self._overstaying = Overstaying(equipment, self._ender, lane_ended=self._lane_ended)
        self._watch = Watch(self._overstaying.look)
        work = self._slots, self._attempts, self._committer
        self._claimer = Claimer(session_id, self.queues, *work, begin=self._begin, began=self._told_soon)
        self._upkeep = Upkeep(node_id, self.queues, self._attempts, self._committer, self._stop_attempt)

    def start(self) -> None:
        """Register the session and start the threads; returns at once."""
        with self._pool.connection() as connection:
            connection.execute(statements.REPLACE, (self.node_id, os.getpid(), self.session_id))
            self._upkeep.register(connection)
        threading.Thread(target=self._look_after, name="look-after", daemon=True).start()
        self._awaiting.start()
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
        self._awaiting.stop()

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
        self._committer.submit(items.hand_back(attempt.lease), lambda row, error: self._ender.forget(attempt))

    # --- The chain --------------------------------------------------------------------------------------------------

    def _chain(self, first: Attempt) -> None:
        attempt: Attempt | None = first
        if first.lease.phase == LANE:
            self._in_lane(first)
            return
        while attempt is not None and not attempt.is_settled():
            ready = self._prepared(attempt)
            if isinstance(ready, Prepared) and ready.is_async:
                self._awaiting.begin(attempt, ready)
                return
            if isinstance(ready, Prepared):
                outcome = self._call(attempt, ready)
                attempt = self._ender.end(attempt, outcome, ready)
            else:
                attempt = self._ender.end(attempt, ready, None)

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
            self._ender.forget(attempt)
            return
        if lane.alone is not None and lane.answer is not None:
            following = self._ender.end(lane.alone, *lane.answer)
            if following is not None:
                self._chain(following)

    def _lane_ended(self, attempt: Attempt, queues: list[str]) -> None:
        self._ender.forget(attempt)
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

    def _facts(self, lease: Lease) -> VersionFacts:
        return self._plans.get(lease.run.version_id)

    # --- What its parts tell it -------------------------------------------------------------------------------------

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

    def _stop_attempt(self, attempt: Attempt) -> None:
        attempt.stop.set()
        self._awaiting.cancel(attempt)
        if attempt.lane is not None:
            try:
                attempt.lane.let_go(self._attempts.put)
            except Exception as error:  # the others hear of their end all the same
                log.warning("an item could not be told apart from its lane", error=str(error).strip()[:200])

    def _crowded(self) -> None:
        self._watch.heed(time.monotonic() + AGAIN)

    def _look_after(self) -> None:
        connection = Standing("look-after")
        while not self._stopping.wait(LOOK_AFTER):
            try:
                self._upkeep.see_to(connection.get())
            except Exception as error:
                log.warning("cannot look after runs, trying again", error=str(error).strip()[:200])
        connection.close()
