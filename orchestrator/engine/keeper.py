"""The keeper: level-triggered sweeps. Each finds rows that are wrong now and puts them right; none remembers anything.

It runs in the Celery parent of every node; an advisory lock on its connection lets one of all hosts act at a time. Of a
keeper that says nothing for the time of a lease PostgreSQL takes the lock away.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, LiteralString

import structlog
from django.db import connections

from orchestrator.engine import dispatch, metrics, statements
from orchestrator.engine.cut_undos import CutUndos
from orchestrator.engine.database import Connection, OwnConnection, Row, connect
from orchestrator.engine.ended import EndedRuns
from orchestrator.engine.plans import LonePlans
from orchestrator.engine.undo import write_ledgers

log = structlog.get_logger(__name__)
TTL = 15.0  # seconds without a beat until a session counts as dead
LEAST_SILENCE = 5.0  # seconds: less would end connections of keepers that are only slow
GRACE = 10.0  # seconds that a cancelled step may take to end politely
LIMIT = 500  # rows per sweep
TICK = 0.25  # seconds between sweeps of timers
SLOW = 1.0  # seconds between all other sweeps
FORGET = 60.0  # seconds between looks for ended runs and old events to forget
FORGET_LIMIT = 200  # runs forgotten in one sweep
FORGET_EVENTS_LIMIT = 500  # events
DELIVER_ROUNDS = 20  # batches of one topic's deliveries in one sweep
NEGLECT = 1.0  # seconds that a ready token may lie before its queue is woken again


class Keeper:
    """`end_overdue(run_id)` closes a run past its deadline through the ordinary door; `wake(queue, count)` tells
    workers, `announce(workspace, run)` the sockets, `notify()` has mails of new human tasks sent, `beat()` is for a
    worker in this very process.
    """

    def __init__(
        self,
        end_overdue: Callable[[Any], None],
        *,
        wake: Callable[[str, int], None] = dispatch.wake,
        notify: Callable[[], Any] = dispatch.notify,
        announce: Callable[..., Any] = dispatch.announce,
        beat: Callable[[], None] | None = None,
        ttl: float = TTL,
        grace: float = GRACE,
    ) -> None:
        self._end_overdue = end_overdue
        self._wake = wake
        self._notify = notify
        self._announce = announce
        self._beat = beat
        self._ttl = ttl
        self._grace = grace
        self._stopping = threading.Event()
        self._nudged = threading.Event()
        self._plans = LonePlans(self._open)
        self._connection: OwnConnection | None = None
        self._mine = False
        self._ended = EndedRuns(self._plans.of)
        self._cut = CutUndos()
        self._next_forget = 0.0
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def nudge(self) -> None:
        """A worker process of this node died: look at once."""
        self._nudged.set()

    def stop(self) -> None:
        """End after the present sweep."""
        self._stopping.set()
        self._nudged.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        next_slow = 0.0
        while not self._stopping.is_set():
            wait = TICK
            nudged = self._nudged.is_set()
            self._nudged.clear()
            try:
                if self._is_mine():
                    is_slow = nudged or time.monotonic() >= next_slow
                    wait = self._see_to_timers(anyway=is_slow)
                    if is_slow:
                        self.sweep()
                        next_slow = time.monotonic() + SLOW
            except Exception as error:
                # Whatever it was: a keeper that ends while its connection holds the lock leaves nobody to sweep.
                log.warning("a sweep failed, trying again", error=str(error).strip()[:200])
                self._forget_connection()
            self._nudged.wait(wait)
        self._forget_connection()

    def sweep(self) -> None:
        """Everything but timers, once."""
        if self._beat is not None:
            self._beat()
        connection = self._open()
        for row in connection.execute(statements.TAKE_OVER, (self._ttl, LIMIT)).fetchall():
            log.info("took over steps", queue=row["queue"], steps=row["n"], dead=row["dead"])
            metrics.took_over(dead=row["dead"], count=row["n"])
            self._wake(row["queue"], row["n"])
        connection.execute(statements.STOP_CANCELLED, (self._grace, LIMIT))
        self._cancel_branches(connection)
        self._tell(connection.execute(statements.DRAIN_SCOPES, (self._grace, LIMIT)).fetchall())
        self._cancel_orphans(connection)
        self._deliver(connection)
        self._settle_limits(connection)
        for row in connection.execute(statements.SETTLE_LINES, (None,)).fetchall():
            self._wake(row["queue"], 1)
        for queue in write_ledgers(connection, self._plans.of):
            self._wake(queue, 1)
        for row in connection.execute(statements.OVERDUE_RUNS, (LIMIT,)).fetchall():
            self._end_overdue(row["id"])
        for row in connection.execute(statements.NEGLECTED_QUEUES, (NEGLECT,)).fetchall():
            self._wake(row["queue"], row["n"])
        connection.execute(statements.FORGET_SESSIONS)
        self._ended.look(connection)
        self._cut.look(connection)
        self._forget(connection)
        untold = connection.execute(statements.UNTOLD_TASKS).fetchone()
        if untold is not None and untold["some"]:
            self._notify()

    def _see_to_timers(self, *, anyway: bool) -> float:
        """Wake what is due, and say how long nothing else will be: one look instead of calls that find nothing."""
        seconds = self._next_timer()
        if anyway or seconds <= 0:
            self._fire_timers()
            seconds = self._next_timer()
        return min(TICK, max(0.005, seconds))

    def _next_timer(self) -> float:
        [due] = self._open().ask(statements.NEXT_TIMER, ())
        return TICK if due["seconds"] is None else float(due["seconds"])

    def _fire_timers(self) -> None:
        """Wake what is due."""
        connection = self._open()
        woken = LIMIT
        while woken >= LIMIT:
            rows = connection.execute(statements.FIRE_TIMERS, (LIMIT,)).fetchall()
            woken = sum(row["n"] for row in rows)
            metrics.TIMERS.inc(woken)
            for row in rows:
                self._wake(row["queue"], row["n"])
        for row in connection.execute(statements.OPEN_DUE_LINES).fetchall():
            self._wake(row["queue"], 1)
        self._tell(connection.execute(statements.FIRE_GATES, (LIMIT,)).fetchall())

    def _deliver(self, connection: Connection) -> None:
        """Events that their publisher could not hand to all who waited for them."""
        for row in connection.execute(statements.PENDING_TOPICS, (LIMIT,)).fetchall():
            more, workspace_id = True, int(row["topic"].partition("/")[0])
            rounds = DELIVER_ROUNDS
            while more and rounds:
                rounds -= 1
                done = connection.execute(statements.DELIVER, (row["topic"], LIMIT)).fetchone()
                metrics.EVENTS_DELIVERED.inc(len(done["runs"]) if done else 0)
                more = done is not None and done["more"] and bool(done["runs"])
                for queue, count in Counter(done["queues"] if done else ()).items():
                    self._wake(queue, count)
                for run_id in set(done["runs"] if done else ()):
                    self._announce(workspace_id, run_id, events=True)

    def _settle_limits(self, connection: Connection) -> None:
        """Queued runs that have a slot: the run that ended did not see them, or found them held by somebody."""
        for limit in connection.execute(statements.UNSETTLED_LIMITS, (LIMIT,)).fetchall():
            place = (limit["workflow_id"], limit["concurrency_key"])
            row = connection.execute(statements.SETTLE_LIMIT, place).fetchone()
            for queue in row["queues"] if row else ():
                self._wake(queue, 1)

    def _forget(self, connection: Connection) -> None:
        """One small batch; the next follows with the next sweep while there are more."""
        if time.monotonic() < self._next_forget:
            return
        runs = self._forgotten(connection, statements.FORGET_RUNS, FORGET_LIMIT)
        events = self._forgotten(connection, statements.FORGET_EVENTS, FORGET_EVENTS_LIMIT)
        if not runs and not events:
            self._next_forget = time.monotonic() + FORGET
            return
        log.info("forgot ended runs and old events", runs=runs, events=events)

    def _forgotten(self, connection: Connection, statement: LiteralString, limit: int) -> int:
        row = connection.execute(statement, (limit,)).fetchone()
        return int(row["forgotten"]) if row is not None else 0

    def _cancel_orphans(self, connection: Connection) -> None:
        """Each in a transaction of its own: whoever cancels their family locks them in its order."""
        for _ in range(LIMIT):
            cancelled = connection.execute(statements.CANCEL_ORPHANS, (1,)).fetchone()
            if not cancelled or not cancelled["n"]:
                return

    def _cancel_branches(self, connection: Connection) -> None:
        """What the worker that decided a join did not live to do, or found held by somebody."""
        for run in connection.execute(statements.UNCANCELLED, (LIMIT,)).fetchall():
            rows = connection.execute(statements.CANCEL_BRANCHES, (run["run_id"],)).fetchall()
            self._tell([{**row, **run} for row in rows])

    def _tell(self, rows: list[Row]) -> None:
        for queue, count in Counter(row["queue"] for row in rows if row["queue"] is not None).items():
            self._wake(queue, count)
        for workspace_id, run_id in {(row["workspace_id"], row["run_id"]) for row in rows}:
            self._announce(workspace_id, run_id)

    def _is_mine(self) -> bool:
        connection = self._open()
        if not self._mine:
            row = connection.execute(statements.KEEPER_LOCK).fetchone()
            self._mine = bool(row and row["mine"])
            self._ended = EndedRuns(self._plans.of)
            self._cut = CutUndos()
        return self._mine

    def _open(self) -> OwnConnection:
        if self._connection is None or self._connection.closed:
            self._mine = False
            self._connection = connect("keeper")
            self._connection.execute(statements.KEEPER_SILENCE, (f"{max(self._ttl, LEAST_SILENCE):.3f}s",))
        return self._connection

    def _forget_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        # The ordinary door uses this thread's Django connection, which nobody else would replace once it is broken.
        connections.close_all()
