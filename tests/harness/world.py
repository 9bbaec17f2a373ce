"""A world of workers, runs and sweeps on the real database, moved one call at a time, that knows who owns what."""

import json
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import psycopg

from orchestrator.core.errors import RunAlreadyClosed
from orchestrator.engine import statements
from orchestrator.engine.database import OwnConnection, Row
from orchestrator.engine.keeper import Keeper
from orchestrator.engine.lease import leases_of
from orchestrator.models import Run, Version
from orchestrator.services.control import (
    RunEnding,
    RunNotPaused,
    RunPaused,
    cancel_run,
    fail_overdue_run,
    pause_run,
    resume_run,
)
from tests.engine.house import House
from tests.graphs import Expected
from tests.harness.clock import shift
from tests.harness.drawings import Wanted
from tests.harness.faults import Blow, Breached, Killed
from tests.harness.memory import Memory
from tests.harness.rows import picture
from tests.harness.stepped import Held, Process, Silent

TTL = 15.0
GRACE = 10.0
MOST_PROCESSES = 4


@dataclass(frozen=True, slots=True)
class Call:
    """One commit as it went over the wire."""

    process: Process
    session_id: int
    text: str
    statement: str


@dataclass(slots=True)
class Started:
    """A run, what must have happened at its end, and what was done to it. `halted`: nothing in it may start."""

    run_id: UUID
    version: Version
    wanted: Wanted
    halted: str = ""
    closing: str = ""


@dataclass
class World:
    """All methods are single steps; each raises Breached when it sees what must not be."""

    house: House
    database: OwnConnection
    drawings: list[tuple[Version, Wanted]]
    #: for drawings with expressions
    sandbox: Any = None
    processes: list[Process] = field(default_factory=list)
    runs: dict[UUID, Started] = field(default_factory=dict)
    journal: list[Call] = field(default_factory=list)
    #: token -> the process and epoch that may commit for it
    owners: dict[int, tuple[Process, int]] = field(default_factory=dict)
    breach: Breached | None = None
    memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        self.memory = Memory(self.database)

    # --- Runs ---------------------------------------------------------------------------------------------------------

    def start(self, which: int) -> None:
        version, wanted = self.drawings[which % len(self.drawings)]
        with patch("orchestrator.engine.dispatch.herald", Silent):
            run_id = self.house.start(version)
        self.runs[run_id] = Started(run_id, version, wanted)

    def know(self, run_id: UUID, version: Version) -> None:
        """A run that somebody else has started, of which only the invariants are known."""
        nothing = Expected(frozenset(), frozenset(), frozenset(), "")
        self.runs[run_id] = Started(run_id, version, nothing)

    def control(self, run: Started, what: str) -> None:
        """Pause, resume, cancel or overrun; a run that has ended or is ending refuses."""
        with patch("orchestrator.engine.dispatch.herald", Silent):
            try:
                if what == "overdue":
                    Run.objects.filter(pk=run.run_id).update(deadline_at="2026-01-01T00:00Z")
                    fail_overdue_run(run.run_id)
                    state = "cancelling"
                else:
                    change = {"pause": pause_run, "resume": resume_run, "cancel": cancel_run}[what]
                    state = change(run.run_id, self.house.actor)
            except (RunAlreadyClosed, RunEnding, RunPaused, RunNotPaused):
                return
        if run.closing or state in ("cancelled", "cancelling"):
            run.closing = run.closing or self.memory.end_of(run.run_id)
            run.halted = "cancelled"
        else:
            run.halted = "paused" if what == "pause" else ""

    # --- Workers ------------------------------------------------------------------------------------------------------

    def boot(self, queues: tuple[str, ...] = ("default",)) -> Process:
        """Start a process under the first name that nobody at work has, as a supervisor does."""
        taken = {process.name for process in self.processes if not process.dead and not process.frozen}
        name = next(name for number in count() if (name := f"worker-{number}") not in taken)
        process = Process(self, uuid4(), name, queues)
        self.processes.append(process)
        return process

    def claim(self, process: Process, most: int, fate: str) -> None:
        """Lease tokens. `fate`: "heard", "unheard" (its reply is lost) or "forgotten" (by a crash of PostgreSQL)."""
        arguments = (process.session_id, process.queues, most, True)
        if fate == "forgotten":
            with self.database.transaction(force_rollback=True):
                rows = self.database.execute(statements.CLAIM, arguments).fetchall()
        else:
            rows = self.database.execute(statements.CLAIM, arguments).fetchall()
        self._check_claim(rows, most)
        if fate != "forgotten":
            self.owners |= {row["id"]: (process, row["epoch"]) for row in rows}
        if fate != "unheard":
            for lease in leases_of(rows):
                process.take(lease)

    def _check_claim(self, rows: list[Row], most: int) -> None:
        if len(rows) > most or len({row["id"] for row in rows}) < len(rows):
            self._breached("I5 claim", f"{len(rows)} tokens leased, {most} asked for")
        for row in rows:
            self._may_start(row["run_id"], row["node"])

    def finish(self, process: Process, held: list[Held], blow: Blow, meanwhile: Callable[[], None] | None) -> None:
        """Commit what was performed; `meanwhile` happens while a lost connection is away."""
        process.blow, process.meanwhile = blow, meanwhile
        try:
            if len(held) == 1:
                process.finish(held[0])
            else:
                process.finish_together(held)
        except Killed:
            self.kill(process, noticed=False)
        process.blow, process.meanwhile = Blow.NONE, None

    def kill(self, process: Process, *, noticed: bool) -> None:
        """kill -9. `noticed`: its node sees it at once and takes its session away."""
        process.dead = True
        process.in_hand.clear()
        if noticed:
            self.database.execute(statements.END_SESSION, (process.session_id,))

    # --- Calls --------------------------------------------------------------------------------------------------------

    def ask(self, statement: str, arguments: Any) -> list[Row]:
        return self.database.execute(statement, arguments).fetchall()

    def advance(self, process: Process, session_id: int, text: str, statement: str = statements.ADVANCE) -> list[Row]:
        """One commit, watched: only owners move tokens, and who is fenced changes nothing."""
        self.journal.append(Call(process, session_id, text, statement))
        before = picture(self.database)
        try:
            rows = self.database.execute(statement, (session_id, text)).fetchall()
        except psycopg.Error as error:
            raise self._breached("A call is never refused", f"{error}") from error
        answers = in_order(rows)
        items = json.loads(text)
        if all(row["status"] == "fenced" for row in rows):
            after = picture(self.database)
            if changed := [table for table in after if after[table] != before[table]]:
                self._breached("I5 fenced calls change nothing", f"{changed} changed by {text}")
        for item in items:
            self._note(process, item, answers[item["t"]].popleft())
        return rows

    def flush(self, process: Process, session_id: int, text: str) -> Row:
        """What a lane stores, watched in the same way."""
        call = json.loads(text)
        before = picture(self.database)
        try:
            row = self.database.execute(statements.FLUSH, (session_id, text)).fetchone()
        except psycopg.Error as error:
            raise self._breached("A call is never refused", f"{error}") from error
        assert row is not None
        if row["status"] == "fenced":
            if picture(self.database) != before:
                self._breached("I5 fenced calls change nothing", f"changed by {text}")
            return row
        self._moved(process, call["t"], call["e"])
        if row["status"] == "go":
            self.owners[call["t"]] = (process, row["epoch"])
        return row

    def _note(self, process: Process, item: dict[str, Any], answer: Row) -> None:
        token_id = item["t"]
        if answer["status"] == "fenced":
            return
        self._moved(process, token_id, item["e"])
        if answer["status"] == "moved":
            self.owners[token_id] = (process, answer["epoch"])
            self._may_start(self.memory.run_of(token_id), answer["node"])

    def _moved(self, process: Process, token_id: int, epoch: int) -> None:
        if (owner := self.owners.get(token_id)) != (process, epoch):
            self._breached("I5 one owner", f"token {token_id} moved at epoch {epoch}, owned by {owner}")
        self.owners.pop(token_id, None)

    def _may_start(self, run_id: UUID, node: int) -> None:
        if halted := self.runs[self.memory.root_of(run_id)].halted:
            self._breached("I10 control holds", f"node {node} of {run_id} starts although the run is {halted}")

    def replay(self, which: int) -> None:
        """An old call arrives again. Calls that were never executed are not in the journal, so this one is stale."""
        if not self.journal:
            return
        call = self.journal[which % len(self.journal)]
        mine = [(item["t"], (call.process, item["e"])) for item in json.loads(call.text)]
        if any(self.owners.get(token_id) == owner for token_id, owner in mine):
            return  # fenced once, after a claim that a crash forgot; the same process has claimed again since
        before = picture(self.database)
        try:
            rows = self.database.execute(call.statement, (call.session_id, call.text)).fetchall()
        except psycopg.Error as error:
            raise self._breached("A call is never refused", f"{error}") from error
        statuses = {row["status"] for row in rows}
        if statuses != {"fenced"} or picture(self.database) != before:
            self._breached("I5 a repeated call changes nothing", f"{statuses} by {call.text}")

    def _breached(self, name: str, what: str) -> Breached:
        """Kept, because the worker under test swallows exceptions; `check` raises it."""
        self.breach = self.breach or Breached(name, what)
        return self.breach

    # --- Keepers and the clock ----------------------------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        """The clock jumps; living workers beat."""
        shift(self.database, seconds)
        self.beat()

    def beat(self) -> None:
        for process in self.processes:
            if not process.dead and not process.frozen:
                self.database.execute(statements.BEAT, (process.node_id, [process.pid]))

    def take_over(self, limit: int = 500) -> None:
        self.database.execute(statements.TAKE_OVER, (TTL, limit))
        self.forget_lost_owners()
        if limit >= 500 and (held := self.memory.held_by_the_dead(TTL)):
            self._breached("I7 the dead hold nothing", f"{held} after a sweep")

    def fire_timers(self, limit: int = 500) -> None:
        """A timer fires only when due, and always when due."""
        due = self.memory.timers()
        self.database.execute(statements.FIRE_TIMERS, (limit,))
        now = self.memory.timers()
        for token_id, (epoch, seconds) in due.items():
            fired = now.get(token_id, (-1, 0.0))[0] != epoch
            if fired and seconds > 0:
                self._breached("I11 no timer is early", f"token {token_id} was woken {seconds} s early")
            # The clock runs on between the reading and the sweep, so a timer due now may have fired or not.
            if not fired and seconds < -1 and len(due) <= limit:
                self._breached("I11 no timer is lost", f"token {token_id} is {-seconds} s late")

    def stop_cancelled(self, limit: int = 500) -> None:
        self.database.execute(statements.STOP_CANCELLED, (GRACE, limit))
        self.forget_lost_owners()

    def sweep(self) -> None:
        """Everything that a keeper does in a second."""
        self.beat()
        keeper = Keeper(
            fail_overdue_run, wake=nothing, notify=nothing, announce=nothing, beat=nothing, ttl=TTL, grace=GRACE
        )
        keeper._connection = self.database
        keeper.sweep()
        self.take_over()
        self.fire_timers()
        keeper._fire_timers()
        self.forget_lost_owners()

    def wake(self, which: int) -> None:
        """What somebody waits for arrives: once for the right epoch, nothing for another."""
        waiting = self.memory.waiting()
        if waiting:
            token_id, epoch = waiting[which % len(waiting)]
            for stale in (epoch - 1, epoch, epoch):
                self.database.execute("SELECT branchline_wake(%s, %s, '{}')", (token_id, stale))

    def forget_lost_owners(self) -> None:
        leased = self.memory.leased()
        self.owners = {token: owner for token, owner in self.owners.items() if leased.get(token) == owner[1]}

    # --- What must hold -----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise what was seen, and look at all rows."""
        if self.breach is not None:
            raise self.breach
        self.forget_lost_owners()
        self.memory.look()


def nothing(*_: Any, **__: Any) -> None:
    """Stands where somebody would be told."""


def in_order(rows: list[Row]) -> dict[int | None, deque[Row]]:
    """The answers to a call, by token: one for each of its items, in their order."""
    found: dict[int | None, deque[Row]] = defaultdict(deque)
    for row in rows:
        found[row["token_id"]].append(row)
    return found
