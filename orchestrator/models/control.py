"""Where control stands (tokens, gates), what happened (the step log), and who works (sessions).

No database foreign key leads from these tables to `run`: an insert under one locks the run row (decision 0004).
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from orchestrator.core.states import TokenState


class Token(models.Model):
    """One place where control stands in a run: the mutable present. Live work only."""

    run = models.ForeignKey("orchestrator.Run", models.DO_NOTHING, related_name="tokens", db_constraint=False)
    version_id = models.BigIntegerField()
    node = models.IntegerField()
    scope_id = models.BigIntegerField(default=0)
    generation = models.IntegerField(default=0)
    state = models.CharField(max_length=1)
    queue = models.CharField(max_length=63)
    priority = models.SmallIntegerField(default=100)
    ready_at = models.DateTimeField(db_default=Now())
    #: The timer of a waiting token: the wait and its clock are one row, so none can exist without the other.
    wake_at = models.DateTimeField(null=True)
    session_id = models.BigIntegerField(null=True)
    epoch = models.IntegerField(default=0)
    attempt = models.IntegerField(default=0)
    #: Seconds one attempt may take; `claim` turns it into `deadline_at`, past which the keeper takes the lease away.
    timeout = models.FloatField(default=300.0)
    #: Attempts whose worker died: bounded apart from the retry policy.
    lost = models.SmallIntegerField(default=0)
    #: Attempts made before an operator's retry, whose budget is fresh.
    tried_before = models.IntegerField(db_default=0)
    first_started_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    #: 0 fresh; 1 resumed after a wait (the handler's `resume` is asked, not its `run`); 2 a lane of a for-each
    phase = models.SmallIntegerField(default=0)
    #: "T" (too late) or "U" (too many workers died on it): the next owner runs nothing and decides what follows.
    verdict = models.CharField(max_length=1, default="", blank=True)
    #: {"kind", "text", "memo", "since", "taken"?} while waiting, kept until the step ends. taken: [attempt, its time]
    waiting = models.JSONField(null=True)
    signal = models.JSONField(null=True)
    #: The scope whose end this token waits for: the body of a container, or one item in its lane.
    inner_scope = models.BigIntegerField(null=True)
    #: A limit of its queue. Ready: it stands in that limit's line, and is claimed from there only; leased: it holds one
    #: of its places.
    queue_limit_id = models.BigIntegerField(null=True)
    cause = ArrayField(models.BigIntegerField(), default=list)
    xid = models.BigIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["inner_scope"], condition=Q(inner_scope__isnull=False), name="token_by_inner_scope"),
            models.Index(
                fields=["queue", "priority", "ready_at", "id"],
                condition=Q(state="R", queue_limit_id=None),
                name="token_ready",
            ),
            models.Index(
                fields=["queue_limit_id", "state", "phase", "priority", "ready_at", "id"],
                condition=Q(queue_limit_id__isnull=False),
                name="token_by_queue_limit",
            ),
            models.Index(fields=["session_id"], condition=Q(state="L"), name="token_leased"),
            models.Index(fields=["wake_at"], condition=Q(state="W"), name="token_timer"),
        ]
        constraints = [
            # One, for every statement that writes tokens has PostgreSQL parse each constraint anew.
            models.CheckConstraint(
                name="token_fits_state",
                condition=Q(state=TokenState.LEASED, session_id__isnull=False)
                | Q(state=TokenState.READY, session_id=None)
                | Q(
                    state__in=[TokenState.WAITING, TokenState.HELD, TokenState.FAILED],
                    session_id=None,
                    queue_limit_id=None,
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}:{self.node}"


class StepLog(models.Model):
    """One ended attempt: the immutable past. Insert only."""

    pk = models.CompositePrimaryKey("run_id", "node", "scope_id", "generation", "attempt")
    #: Rises with every row; what `cause` refers to.
    entry = models.BigIntegerField()
    run = models.ForeignKey(
        "orchestrator.Run", models.DO_NOTHING, related_name="steps", db_constraint=False, db_index=False
    )
    node = models.IntegerField()
    scope_id = models.BigIntegerField(default=0)
    generation = models.IntegerField(default=0)
    attempt = models.IntegerField()
    outcome = models.CharField(max_length=1)
    #: True when nothing follows by this step's own retry: the step run has ended with this row.
    final = models.BooleanField(default=True)
    ports = ArrayField(models.CharField(max_length=63), null=True)
    #: A wait belongs to the attempt that parked the step.
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField()
    session_id = models.BigIntegerField(null=True)
    cause = ArrayField(models.BigIntegerField(), default=list)
    #: The evaluated config; NULL when the drawing holds no expression.
    input = models.JSONField(null=True)
    input_ref = models.UUIDField(null=True)
    output = models.JSONField(null=True)
    output_ref = models.UUIDField(null=True)
    error = models.JSONField(null=True)
    log = models.JSONField(null=True)
    xid = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            # I1: at most one success per step, scope and generation.
            models.UniqueConstraint(
                fields=["run", "node", "scope_id", "generation"], condition=Q(outcome="S"), name="step_once"
            ),
        ]
        indexes = [
            # Where items of a for-each failed (queries.tallies).
            models.Index(
                fields=["run", "node", "scope_id"],
                condition=Q(final=True, outcome__in=["F", "T", "U"]),
                name="step_failed",
            )
        ]

    def __str__(self) -> str:
        return f"{self.run_id}:{self.node}#{self.attempt}"


class Gate(models.Model):
    """One join of one run: counters and the verdict, decided once."""

    pk = models.CompositePrimaryKey("run_id", "gate", "scope_id")
    run = models.ForeignKey(
        "orchestrator.Run", models.DO_NOTHING, related_name="gates", db_constraint=False, db_index=False
    )
    gate = models.IntegerField()
    scope_id = models.BigIntegerField(default=0)
    node = models.IntegerField()
    size = models.IntegerField()
    need = models.IntegerField()
    ok = models.IntegerField(default=0)
    skip = models.IntegerField(default=0)
    fail = models.IntegerField(default=0)
    #: The newest generation that leads here: what starts behind the gate belongs to it.
    generation = models.IntegerField(db_default=0)
    #: O open, F fired, X cannot be satisfied, S skipped
    verdict = models.CharField(max_length=1, default="O")
    #: How often a verdict was reached: 0 or 1, kept to be checked (I3).
    decided = models.SmallIntegerField(default=0)
    #: The join's timer: the wait and its clock are one row. NULL once decided: only that update is not HOT.
    deadline_at = models.DateTimeField(null=True)
    #: Live steps of branches that have not answered are to be cancelled: their worker does it, else the keeper.
    cancel_pending = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["deadline_at"], condition=Q(deadline_at__isnull=False), name="gate_due"),
            models.Index(fields=["run"], condition=Q(cancel_pending=True), name="gate_cancel"),
        ]
        constraints = [
            models.CheckConstraint(
                name="gate_never_overfull", condition=Q(size__gte=models.F("ok") + models.F("skip") + models.F("fail"))
            ),
            models.CheckConstraint(name="gate_decided_once", condition=Q(decided__lte=1)),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.gate}"


class GateArrival(models.Model):
    """One edge's signal at a gate: an edge cannot count twice. Also the join's inputs and causes."""

    pk = models.CompositePrimaryKey("run_id", "gate", "scope_id", "edge")
    run = models.ForeignKey(
        "orchestrator.Run", models.DO_NOTHING, related_name="arrivals", db_constraint=False, db_index=False
    )
    gate = models.IntegerField()
    scope_id = models.BigIntegerField(default=0)
    edge = models.IntegerField()
    entry = models.BigIntegerField(null=True)
    outcome = models.CharField(max_length=1)
    #: It came after the verdict: the join's result does not know it.
    late = models.BooleanField(default=False)

    class Meta:
        db_table = "orchestrator_gate_arrival"

    def __str__(self) -> str:
        return f"{self.run_id}/{self.gate}/{self.edge}"


class Payload(models.Model):
    """A value over 2 kB, kept out of the hot rows."""

    id = models.UUIDField(primary_key=True)
    run = models.ForeignKey("orchestrator.Run", models.DO_NOTHING, db_constraint=False)
    body = models.JSONField()
    #: Instead of a value: the outputs of the items of a for-each, in this scope's block (core.item_outputs).
    block = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return str(self.id)


class WorkerSession(models.Model):
    """One life of a worker process. Its random id is half of the fence; missing counts as dead."""

    id = models.BigIntegerField(primary_key=True)
    #: The worker node (Celery parent) that beats for it.
    node_id = models.UUIDField()
    host = models.CharField(max_length=255)
    pid = models.IntegerField()
    queues = ArrayField(models.CharField(max_length=63))
    booted_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "orchestrator_worker_session"

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"
