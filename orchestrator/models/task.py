"""Human tasks: forms that somebody must answer, and the answers."""

import uuid
from enum import StrEnum
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class TaskState(StrEnum):
    """Where a human task stands."""

    OPEN = "open"  #: `claim`, `decide`, the due date or the run's end
    CLAIMED = "claimed"  #: as open, by its claimer; `release`
    DONE = "done"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


WAITING_TASK = (TaskState.OPEN, TaskState.CLAIMED)


class HumanTaskQuerySet(models.QuerySet["HumanTask"]):
    """Tasks, named for their readers."""

    def waiting(self) -> Self:
        # Served by task_waiting (partial index over waiting tasks).
        return self.filter(state__in=WAITING_TASK)


class HumanTask(models.Model):
    """A form that waits for an answer, as it was shown: values evaluated, fields and outcomes frozen."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    workspace = models.ForeignKey("orchestrator.Workspace", models.CASCADE, db_constraint=False, db_index=False)
    run = models.ForeignKey("orchestrator.Run", models.DO_NOTHING, related_name="tasks", db_constraint=False)
    token_id = models.BigIntegerField()
    #: The token's epoch while it waits: a token that moved on cannot be woken by an old task.
    epoch = models.IntegerField()
    step_key = models.CharField(max_length=63)
    state = models.CharField(max_length=10, default=TaskState.OPEN)
    #: Rises with every claim, release and reassignment.
    version = models.IntegerField(default=1)
    title = models.CharField(max_length=400)
    text = models.TextField(default="", blank=True)
    fields = models.JSONField(default=list)
    outcomes = models.JSONField(default=list)
    users = ArrayField(models.CharField(max_length=150), default=list)
    roles = ArrayField(models.CharField(max_length=16), default=list)
    groups = ArrayField(models.CharField(max_length=63), default=list)
    quorum = models.PositiveSmallIntegerField(default=1)
    allow_requester = models.BooleanField(default=False)
    #: Who started the run.
    requester = models.ForeignKey(
        "orchestrator.User", models.SET_NULL, null=True, db_constraint=False, related_name="+", db_index=False
    )
    claimed_by = models.ForeignKey(
        "orchestrator.User", models.SET_NULL, null=True, db_constraint=False, related_name="+", db_index=False
    )
    opened_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=63, default="", blank=True)
    #: When the assignees were told; the keeper looks for open tasks without it.
    notified_at = models.DateTimeField(null=True)
    #: What follows each outcome, where that was known: see engine/follows.py.
    follows = models.JSONField(null=True)

    objects = HumanTaskQuerySet.as_manager()

    class Meta:
        db_table = "orchestrator_human_task"
        constraints = [
            models.CheckConstraint(
                name="task_closed_iff_final",
                condition=Q(state__in=WAITING_TASK, closed_at=None)
                | ~Q(state__in=WAITING_TASK) & Q(closed_at__isnull=False),
            ),
            models.CheckConstraint(name="task_done_has_outcome", condition=~Q(state=TaskState.DONE) | ~Q(outcome="")),
            models.UniqueConstraint(
                fields=["token_id", "epoch"], condition=Q(state__in=WAITING_TASK), name="task_one_per_wait"
            ),
        ]
        indexes = [
            models.Index(
                fields=["workspace", "due_at", "id"], condition=Q(state__in=WAITING_TASK), name="task_waiting"
            ),
            models.Index(fields=["workspace", "-closed_at"], condition=~Q(state__in=WAITING_TASK), name="task_closed"),
            models.Index(
                fields=["opened_at"], condition=Q(state__in=WAITING_TASK, notified_at=None), name="task_unnotified"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Decision(models.Model):
    """One person's answer to one task."""

    task = models.ForeignKey(HumanTask, models.CASCADE, related_name="decisions")
    user = models.ForeignKey("orchestrator.User", models.DO_NOTHING, db_constraint=False, related_name="+")
    #: The name at that time: it must outlive the account.
    user_name = models.CharField(max_length=150)
    outcome = models.CharField(max_length=63)
    values = models.JSONField(default=dict)
    comment = models.TextField(default="", blank=True)
    #: Of the content the person was shown.
    digest = models.CharField(max_length=64)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "user"], name="decision_once_per_person")]

    def __str__(self) -> str:
        return f"{self.user_name}: {self.outcome}"
