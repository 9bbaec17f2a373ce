"""The undo ledger: what happened and is to be undone, in which order, and how that went."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from orchestrator.core.undo import FINAL_UNDO, NEEDS_PERSON, UndoState


class UndoItem(models.Model):
    """One ended step that an undo covers."""

    pk = models.CompositePrimaryKey("run_id", "entry")
    run = models.ForeignKey(
        "orchestrator.Run", models.DO_NOTHING, related_name="undo_items", db_constraint=False, db_index=False
    )
    #: The entry of the step log that is undone.
    entry = models.BigIntegerField()
    node = models.IntegerField()
    scope_id = models.BigIntegerField(default=0)
    generation = models.IntegerField(default=0)
    #: The container block whose undo this is; 0 for the whole run.
    boundary = models.BigIntegerField(default=0)
    state = models.CharField(max_length=12)
    #: How many later steps must be settled before this one may begin.
    awaits = models.IntegerField(default=0)
    #: Entries of earlier steps that wait for this one.
    releases = ArrayField(models.BigIntegerField(), default=list)
    position = models.IntegerField(default=0)
    queue = models.CharField(max_length=63, default="default")
    #: Seconds that one attempt may take.
    timeout = models.FloatField(default=30.0)
    error = models.JSONField(null=True)
    reason = models.TextField(default="", blank=True)
    actor = models.CharField(max_length=150, default="", blank=True)
    at = models.DateTimeField(db_default=Now())
    xid = models.BigIntegerField(default=0)

    class Meta:
        db_table = "orchestrator_undo_item"
        constraints = [
            models.CheckConstraint(name="undo_known_state", condition=Q(state__in=[str(state) for state in UndoState])),
            models.CheckConstraint(name="undo_awaits_natural", condition=Q(awaits__gte=0)),
        ]
        indexes = [
            models.Index(fields=["run", "boundary"], condition=~Q(state__in=sorted(FINAL_UNDO)), name="undo_item_open"),
            models.Index(fields=["run"], condition=Q(state__in=sorted(NEEDS_PERSON)), name="undo_item_stuck"),
        ]

    def __str__(self) -> str:
        return f"undo {self.run_id}/{self.entry}"
