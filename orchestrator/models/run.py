"""Runs and the record of what was done to them."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from orchestrator.core.states import FINAL_RUN, OPEN_RUN, RunState

FINAL = sorted(FINAL_RUN)
OPEN = sorted(OPEN_RUN)


class RunQuerySet(models.QuerySet["Run"]):
    """Runs, named for their readers."""

    def in_workspace(self, workspace_id: int) -> Self:
        # Served by run_by_workspace.
        return self.filter(workspace_id=workspace_id)

    def open(self) -> Self:
        # Served by run_open (partial index over open runs).
        return self.exclude(state__in=FINAL)

    def overdue(self) -> Self:
        # Served by run_open_by_deadline (partial index over open runs).
        return self.open().filter(deadline_at__lt=Now())


class Run(models.Model):
    """One execution of one version. Not written on the hot path: only start, control and end touch the row."""

    id = models.UUIDField(primary_key=True, editable=False)
    workspace = models.ForeignKey("orchestrator.Workspace", models.CASCADE, db_constraint=False, db_index=False)
    workflow = models.ForeignKey("orchestrator.Workflow", models.CASCADE, db_constraint=False, db_index=False)
    version = models.ForeignKey("orchestrator.Version", models.CASCADE, db_constraint=False, db_index=False)
    state = models.CharField(max_length=12, default=RunState.RUNNING)
    #: "-" go on, "P" paused, "C" cancelling, or failed while paused (decision 45), "K" undoing: read by every advance
    #: under the run's shared lock.
    control = models.CharField(max_length=1, default="-")
    input = models.JSONField(null=True)
    input_ref = models.UUIDField(null=True)
    output = models.JSONField(null=True)
    output_ref = models.UUIDField(null=True)
    error = models.JSONField(null=True)
    #: The end that a cancelling run is heading for: {"state", "error"}; the error of one that is, or will be, undone.
    closing = models.JSONField(null=True)
    correlation_id = models.CharField(max_length=200)
    business_key = models.CharField(max_length=200, null=True)  # noqa: DJ001  NULL: no key, so the unique index ignores it
    idempotency_key = models.CharField(max_length=200, null=True)  # noqa: DJ001  as above
    idempotency_digest = models.CharField(max_length=64, default="", blank=True)
    #: W3C trace context that came with the start ({"traceparent", "tracestate"}): every host continues that trace.
    trace_context = models.JSONField(null=True)
    trigger = models.CharField(max_length=16)
    started_by = models.ForeignKey("orchestrator.User", models.SET_NULL, null=True, db_constraint=False, db_index=False)
    #: Of a sub-workflow: the token that waits for this run in that epoch, and the run at the top.
    parent_run = models.ForeignKey(
        "self", models.DO_NOTHING, null=True, related_name="children", db_constraint=False, db_index=False
    )
    parent_token = models.BigIntegerField(null=True)
    parent_epoch = models.IntegerField(null=True)
    #: The step of the parent that started this run.
    parent_node = models.IntegerField(null=True)
    parent_scope = models.BigIntegerField(null=True)
    parent_generation = models.IntegerField(null=True)
    #: The same for all runs that turns and attempts of one step started: whom `branchline_same_call` need be asked of.
    call = models.BigIntegerField(null=True)
    root_run = models.ForeignKey(
        "self", models.DO_NOTHING, null=True, related_name="+", db_constraint=False, db_index=False
    )
    depth = models.SmallIntegerField(default=0)
    #: Under a limit of open runs: which of them share it (the key's value, "" without a key), and how many may be open.
    concurrency_key = models.CharField(max_length=200, null=True)  # noqa: DJ001  NULL: no limit, so the index ignores it
    concurrency_limit = models.IntegerField(null=True)
    #: It takes the place of the oldest when the limit is reached.
    replaces = models.BooleanField(default=False, db_default=False)
    #: Its tokens are held until one of the others ends (sql/limits.sql).
    queued = models.BooleanField(default=False, db_default=False)
    priority = models.SmallIntegerField(default=100)
    generation = models.IntegerField(default=0)
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    #: The last transaction that changed this row: what live readers compare their position with.
    xid = models.BigIntegerField(default=0)

    objects = RunQuerySet.as_manager()

    class Meta:
        constraints = [
            # One, for every statement that writes runs has PostgreSQL parse each constraint anew.
            models.CheckConstraint(
                name="run_fits_state",
                condition=Q(state__in=FINAL, finished_at__isnull=False) | Q(state__in=OPEN, finished_at=None),
            ),
            models.UniqueConstraint(
                fields=["workflow", "business_key"],
                condition=Q(business_key__isnull=False) & ~Q(state__in=FINAL),
                name="run_business_key_open",
            ),
            models.UniqueConstraint(
                fields=["workflow", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="run_idempotency_key_once",
            ),
        ]
        indexes = [
            # The id is a UUIDv7: its order is the order of starting.
            models.Index(fields=["workspace", "-id"], name="run_by_workspace"),
            models.Index(fields=["workspace", "state", "-id"], name="run_by_state"),
            models.Index(fields=["workflow", "-id"], name="run_by_workflow"),
            models.Index(fields=["workspace", "correlation_id"], name="run_by_correlation"),
            models.Index(
                fields=["workspace", "business_key"],
                condition=Q(business_key__isnull=False),
                name="run_by_business_key",
            ),
            models.Index(
                fields=["workspace", "-finished_at"], condition=Q(finished_at__isnull=False), name="run_by_finish"
            ),
            models.Index(fields=["state", "id"], condition=~Q(state__in=FINAL), name="run_open"),
            models.Index(fields=["parent_run", "id"], condition=Q(parent_run__isnull=False), name="run_by_parent"),
            models.Index(
                fields=["parent_token"],
                condition=Q(parent_token__isnull=False) & ~Q(state__in=FINAL),
                name="run_open_by_parent_token",
            ),
            models.Index(fields=["root_run"], condition=Q(root_run__isnull=False), name="run_by_root"),
            models.Index(
                fields=["workflow", "concurrency_key", "queued", "id"],
                condition=Q(concurrency_key__isnull=False, finished_at=None),
                name="run_under_limit",
            ),
            models.Index(
                fields=["deadline_at"],
                condition=Q(deadline_at__isnull=False) & ~Q(state__in=FINAL),
                name="run_open_by_deadline",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class RunRecord(models.Model):
    """One thing that was done to a run as a whole, by whom: started, cancel asked, finished, ..."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="records", db_constraint=False, db_index=False)
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=32)
    actor = models.CharField(max_length=150, default="", blank=True)
    detail = models.JSONField(default=dict, blank=True)
    xid = models.BigIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["run", "id"], name="run_record_by_run")]

    def __str__(self) -> str:
        return f"{self.kind} {self.run_id}"
