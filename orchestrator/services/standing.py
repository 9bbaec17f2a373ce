"""Where control stands in one scope of a locked run: read from its rows, and written as a replay says.

Called under the run's exclusive lock only. Tokens are taken with SKIP LOCKED: whoever holds one may be waiting for
that very lock (`RunBusy`: roll back, let them pass, begin anew).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import BigIntegerField, DateTimeField, ExpressionWrapper, F, Func, Max
from django.db.models.functions import Now

from orchestrator.core.advance import Signal
from orchestrator.core.errors import Conflict
from orchestrator.core.plan import Plan, failure_port
from orchestrator.core.replay import Replayed, ReplayedGate, Verdict, judge, replay
from orchestrator.core.states import AttemptOutcome, TokenState
from orchestrator.engine import statements
from orchestrator.engine.prepared import fetch_one
from orchestrator.models import Gate, GateArrival, HumanTask, Run, StepLog, Token
from orchestrator.models.task import TaskState

#: The transaction's id, as every write of the engine notes it.
XID = Func(template="branchline_xid()", output_field=BigIntegerField())
LETTERS = {Signal.OK: "o", Signal.SKIP: "s", Signal.FAIL: "f"}
END_TIMEOUT = 60.0  # seconds, for the run's own last node


class RunBusy(Conflict):
    """A step is in the middle of a move; in a moment it will not be."""

    code = "run_busy"


@dataclass(frozen=True, slots=True)
class End:
    """The last row that says how a step ended. `attempt` is below 1 when the step never started."""

    entry: int
    generation: int
    attempt: int
    outcome: str
    ports: tuple[str, ...] | None

    @property
    def is_cut(self) -> bool:
        """Whether the step was taken away, with its run or with its branch."""
        return self.outcome == AttemptOutcome.CANCELLED

    @property
    def counts(self) -> bool:
        """Whether control went on from here: an attempt that was cut short is no end."""
        return self.attempt > 0 and not self.is_cut


class Scope:
    """One scope's rows. `recorded`: every step's last final row; `ends`: those that control went on from."""

    def __init__(self, run: Run, plan: Plan, scope_id: int = 0, cause: Sequence[int] = ()) -> None:
        self.run, self.plan, self.scope_id = run, plan, scope_id
        #: What led to the container: its first steps follow from that.
        self._cause = list(cause)
        #: Steps that belong to the new generation whatever they did before: see `renew`.
        self._newer: frozenset[int] = frozenset()
        self._of_scope: dict[str, Any] = {"run_id": run.pk, "scope_id": scope_id}
        # Counter-actions stand at negative numbers: they are no part of the drawing's own way.
        self.tokens = {token.node: token for token in Token.objects.filter(**self._of_scope, node__gte=0)}
        gates = list(Gate.objects.filter(**self._of_scope))
        self.gates = {gate.gate: gate for gate in gates if gate.gate == gate.node >= 0}
        #: Left by steps that cancel others (`core.marks`): no signal reaches them, so no replay knows of them.
        self._marks = [gate for gate in gates if gate.gate != gate.node]
        self.recorded = self._recorded()
        self.ends = {n: end for n, end in self.recorded.items() if end.counts and n not in self.tokens}
        self._arrivals = {(one.gate, one.edge): one for one in GateArrival.objects.filter(**self._of_scope)}

    def _recorded(self) -> dict[int, End]:
        # Served by the primary key; one row per step of the scope.
        rows = (
            StepLog.objects.filter(**self._of_scope, final=True, node__gte=0)
            .order_by("node", "-generation", "-attempt")
            .distinct("node")
            .values_list("node", "entry", "generation", "attempt", "outcome", "ports")
        )
        return {
            node: End(entry, generation, attempt, outcome, None if ports is None else tuple(ports))
            for node, entry, generation, attempt, outcome, ports in rows
            if outcome != AttemptOutcome.REPEATED
        }

    def ports(self) -> dict[int, tuple[str, ...] | None]:
        """What a replay reads: the ports of each end."""
        return {node: end.ports for node, end in self.ends.items()}

    def replayed(self, *, without: Collection[int] = (), reopened: Collection[int] = ()) -> Replayed:
        """Where the scope stands, or would stand had some steps not ended. `reopened`: joins to be decided anew."""
        ends = {node: ports for node, ports in self.ports().items() if node not in without}
        decided = {n: v for n, v in self._decided().items() if n not in reopened}
        found = replay(self.plan, ends, decided=decided, cancelled=self._cancelled() - set(without))
        for node, gate in found.gates.items():
            gate.anew = node in reopened or node not in self.gates or self.gates[node].verdict != gate.verdict
        return found

    def _decided(self) -> dict[int, Verdict]:
        """Verdicts that do not follow from what has arrived: of joins that fired early, or failed by a clock.

        One that fired once all had arrived is decided anew where some arrive again: nobody would wait for those.
        """
        found = {}
        for node, gate in self.gates.items():
            if node not in self.plan.gates or gate.verdict not in {Verdict.FIRED, Verdict.FAILED}:
                continue
            verdict = Verdict(gate.verdict)
            by_itself = judge(self.plan.gates[node], gate.ok, gate.skip, gate.fail, is_end=node == self.plan.end)
            handled = node != self.plan.end and failure_port(self.plan, node, timed_out=False) is not None
            fired_early = verdict is Verdict.FIRED and self.plan.gates[node].is_early
            if fired_early or (by_itself is not verdict and handled):
                found[node] = verdict
        return found

    def _cancelled(self) -> frozenset[int]:
        """Steps taken away by a join: unlike those of a run that was stopped, they have answered on their arrows."""
        answered = {arrival.entry for arrival in self._arrivals.values()}
        return frozenset(node for node, end in self.recorded.items() if end.is_cut and end.entry in answered)

    def nodes_with_rows(self) -> set[int]:
        """Every step of the run, in any scope, that a row names."""
        logged = StepLog.objects.filter(run_id=self.run.pk).values_list("node", flat=True).distinct()
        held = Token.objects.filter(run_id=self.run.pk).values_list("node", flat=True).distinct()
        return {node for node in (*logged, *held) if 0 <= node < self.plan.end}

    def forgotten(self, standing: Replayed) -> frozenset[int]:
        """Steps that have been at work and, by the replay, have not been reached."""
        known = standing.counted | standing.blocked | set(standing.holds)
        worked = {node for node, end in self.recorded.items() if end.attempt > 0} | set(self.tokens)
        return frozenset(worked - known)

    def rewrite(self, standing: Replayed, generation: int, *, again: Collection[int]) -> list[Token]:
        """Make the rows say what the replay says; the tokens that were made.

        `again`: steps that are to begin anew even when they hold a token. Raises RunBusy.
        """
        wanted = set(standing.holds)
        dropped = [token for node, token in self.tokens.items() if node not in wanted or node in again]
        drop_tokens(self.run, dropped)
        self.recorded = self._recorded()
        there = set(self.tokens) - {token.node for token in dropped}
        made = [self._make(node, standing, generation) for node in sorted(wanted - there)]
        self._write_gates(standing, generation)
        self._mark_repeated(standing, generation)
        return made

    def count_arrivals(self, standing: Replayed, generation: int) -> None:
        """Have the joins know of steps that ended well only after their container was cut, and told nobody."""
        self._write_gates(standing, generation)

    def _make(self, node: int, standing: Replayed, generation: int) -> Token:
        step = self.plan.steps[node] if node < self.plan.end else None
        recorded = self.recorded.get(node)
        # A step that never succeeded goes on under its old idempotency key; a success is repeated under a new one.
        own = generation if recorded is None or recorded.outcome == AttemptOutcome.SUCCESS else recorded.generation
        own = max(own, generation if node in self._newer else 0)
        tried = self._tried(node, own)
        return Token.objects.create(
            run_id=self.run.pk,
            version_id=self.run.version_id,
            node=node,
            scope_id=self.scope_id,
            generation=own,
            state=TokenState.HELD if self.run.control == "P" or is_in_line(self.run) else TokenState.READY,
            queue=step.queue if step else self._last_queue(),
            priority=self.run.priority,
            attempt=tried,
            tried_before=tried,
            timeout=step.timeout if step else END_TIMEOUT,
            cause=self._entries(standing.holds[node]) or self._cause,
            xid=XID,
        )

    def drawn_gates(self) -> set[int]:
        """The joins of this level of the drawing, and its end."""
        inside = {step.node for step in self.plan.steps if step.parent == self.plan.holder}
        return set(self.plan.gates) & (inside | {self.plan.end})

    def renew_forgotten(self, standing: Replayed) -> None:
        """Have what was forgotten, should control come there again, belong to a generation of its own."""
        forgotten = self.forgotten(standing)
        if not forgotten:
            return
        self.run.generation += 1
        Run.objects.filter(pk=self.run.pk).update(generation=self.run.generation, xid=XID)
        kept = standing.counted | standing.blocked | set(standing.holds)
        self.renew(forgotten | {gate for gate in self.drawn_gates() if gate not in kept})

    def renew(self, nodes: Collection[int]) -> None:
        """Have these steps, and what starts behind these gates, belong to the new generation."""
        self._newer = frozenset(nodes)

    def _tried(self, node: int, generation: int) -> int:
        rows = StepLog.objects.filter(**self._of_scope, node=node, generation=generation, attempt__gt=0)
        return int(rows.aggregate(most=Max("attempt"))["most"] or 0)

    def _last_queue(self) -> str:
        return self.plan.steps[self.plan.exits[0]].queue if self.plan.exits else "default"

    def _entries(self, nodes: Collection[int]) -> list[int]:
        return [self.recorded[node].entry for node in nodes if node in self.recorded]

    def _write_gates(self, standing: Replayed, generation: int) -> None:
        wanted: Mapping[int, ReplayedGate] = {n: g for n, g in standing.gates.items() if g.arrivals or n in self.gates}
        # A newer version may have other joins, and always another end.
        gone = set(self.gates) - set(self.plan.gates) | self._stale_marks()
        GateArrival.objects.filter(**self._of_scope, gate__in=gone).delete()
        Gate.objects.filter(**self._of_scope, gate__in=gone).delete()
        for node in (set(self.gates) | set(wanted) | self._newer) & set(self.plan.gates):
            self._write_gate(node, wanted.get(node, ReplayedGate()), generation)

    def _stale_marks(self) -> set[int]:
        """Marks that a newer version does not know. The others bind nothing that belongs to a newer generation."""
        drawn = self.plan.marks
        return {mark.gate for mark in self._marks if mark.node not in drawn or drawn[mark.node].node != mark.gate}

    def _write_gate(self, node: int, replayed: ReplayedGate, generation: int) -> None:
        drawn, old = self.plan.gates[node], self.gates.get(node)
        ok, skipped, failed = replayed.counts()
        newer = node in self._newer
        is_open = replayed.verdict is Verdict.OPEN
        arrivals = [self._arrival(node, slot, replayed) for slot in sorted(replayed.arrivals)]
        deadline = drawn.deadline if is_open and arrivals else None
        Gate.objects.update_or_create(
            run_id=self.run.pk,
            gate=node,
            scope_id=self.scope_id,
            defaults={
                "node": node,
                "size": drawn.size,
                "need": drawn.need,
                "ok": ok,
                "skip": skipped,
                "fail": failed,
                "verdict": str(replayed.verdict),
                "decided": int(not is_open),
                "deadline_at": old.deadline_at if old and is_open and old.deadline_at else in_seconds(deadline),
                "cancel_pending": bool(old and old.cancel_pending and not is_open),
                "generation": generation if newer else old.generation if old else 0,
            },
        )
        GateArrival.objects.filter(**self._of_scope, gate=node).delete()
        GateArrival.objects.bulk_create(arrivals)

    def _arrival(self, node: int, slot: int, replayed: ReplayedGate) -> GateArrival:
        arrival, old = replayed.arrivals[slot], self._arrivals.get((node, slot))
        entry = self.recorded[arrival.cause].entry if arrival.cause in self.recorded else None
        letter = LETTERS[arrival.signal]
        # Late is who came after the verdict that holds: for one that is reached now, all of these are in time.
        is_late = old is not None and old.late and (old.entry, old.outcome) == (entry, letter) and not replayed.anew
        return GateArrival(**self._of_scope, gate=node, edge=slot, entry=entry, outcome=letter, late=is_late)

    def _mark_repeated(self, standing: Replayed, generation: int) -> None:
        """Say of every step that is to be reached again that what stands recorded counts no more.

        A join that could not start says so in its own generation: it may start in that, and its row must speak then.
        """
        known = standing.counted | standing.blocked | set(standing.holds)
        renewed = {node for node in self._newer if node < self.plan.end}
        for node in sorted((set(self.recorded) | renewed) - known):
            own = generation if node in self._newer else self.recorded[node].generation
            values: tuple[Any, ...] = (self.run.pk, node, self.scope_id, own)
            with connection.cursor() as cursor:
                cursor.execute(MARK, values + values)


def drop_tokens(run: Run, tokens: Collection[Token]) -> None:
    """Take these tokens away, with the tasks that they wait for. Raises RunBusy."""
    if not tokens:
        return
    ids = [token.pk for token in tokens]
    # Tasks before tokens, as a decision takes them.
    HumanTask.objects.waiting().filter(run_id=run.pk, token_id__in=ids).update(
        state=TaskState.CANCELLED, closed_at=Now(), version=F("version") + 1
    )
    free = Token.objects.select_for_update(skip_locked=True).filter(pk__in=ids).order_by("pk")
    if len(free) < len(ids):
        raise RunBusy("A step of this run is moving at this very moment. Try again.")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT branchline_drop_token(k) FROM orchestrator_token k WHERE k.id = ANY(%s) ORDER BY k.id", [ids]
        )


def in_seconds(seconds: float | None) -> Any:
    """A moment this far from now by the database's clock."""
    return None if seconds is None else ExpressionWrapper(Now() + timedelta(seconds=seconds), DateTimeField())


MARK = """
INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, finished_at,
    cause, xid)
VALUES (nextval('orchestrator_step_log_entry'), %s, %s, %s, %s, branchline_unstarted(%s, %s, %s, %s), 'R', true,
    clock_timestamp(), '{}', branchline_xid())
"""


def is_in_line(run: Run) -> bool:
    """Whether the run, or one that waits for it, is queued by its workflow's limit, and stays so until we commit."""
    if run.queued or run.parent_run_id is None:
        return run.queued
    row = fetch_one(statements.KEPT_IN_LINE, [run.pk])
    return row is not None and bool(row[0])
