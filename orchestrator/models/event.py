"""Events that were accepted, and which waiting step each reached. A waiting token is itself the subscription."""

from enum import StrEnum
from typing import Self

from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Now


class DeliveryState(StrEnum):
    """What became of an event at one step that waited for it."""

    PENDING = "P"  #: `branchline_deliver`, by the publisher or the keeper
    DELIVERED = "D"
    IGNORED = "I"  #: looked at and not wanted, or the wait had ended
    DEAD = "X"  #: the step failed at looking at it: a dead letter, until it is replayed or discarded


class EventQuerySet(models.QuerySet["Event"]):
    """Events, named for their readers."""

    def in_workspace(self, workspace_id: int) -> Self:
        # Served by event_by_workspace.
        return self.filter(workspace_id=workspace_id)


class Event(models.Model):
    """One CloudEvent, as it was accepted. Insert only."""

    workspace = models.ForeignKey("orchestrator.Workspace", models.CASCADE, db_constraint=False, db_index=False)
    source = models.CharField(max_length=400)
    #: The sender's own id: with the source it tells a second copy of the same event.
    event_id = models.CharField(max_length=200)
    type = models.CharField(max_length=200)
    #: "" for none.
    key = models.CharField(max_length=200, default="", blank=True)
    subject = models.CharField(max_length=400, null=True)  # noqa: DJ001  NULL: the sender named none
    time = models.DateTimeField(null=True)
    data = models.JSONField(null=True)
    #: Extension attributes.
    extra = models.JSONField(default=dict, blank=True)
    #: Rises with every event of the same type and key: the order in which they were accepted.
    accepted_at = models.DateTimeField(db_default=Now())
    published_by = models.ForeignKey(
        "orchestrator.User", models.SET_NULL, null=True, db_constraint=False, db_index=False, related_name="+"
    )

    objects = EventQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "source", "event_id"], name="event_once"),
        ]
        indexes = [
            models.Index(fields=["workspace", "-accepted_at", "-id"], name="event_by_workspace"),
            models.Index(fields=["workspace", "key", "type", "accepted_at", "id"], name="event_by_key"),
            models.Index(fields=["workspace", "type", "accepted_at", "id"], name="event_by_type"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


def workspace_in(topic: str) -> Func:
    """The workspace's number, as text, that a topic begins with."""
    return Func(topic, Value("/"), Value(1), function="split_part", output_field=models.TextField())


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Deliveries, named for their readers."""

    def dead_in(self, workspace_id: int) -> Self:
        # Served by delivery_dead.
        dead = self.filter(state=DeliveryState.DEAD)
        return dead.alias(topic_of=workspace_in("topic")).filter(topic_of=str(workspace_id))


class Delivery(models.Model):
    """One event reaching one step that waited for it."""

    event = models.ForeignKey(Event, models.DO_NOTHING, related_name="deliveries", db_constraint=False, db_index=False)
    run = models.ForeignKey(
        "orchestrator.Run", models.DO_NOTHING, related_name="deliveries", db_constraint=False, db_index=False
    )
    node = models.IntegerField()
    scope_id = models.BigIntegerField(default=0)
    generation = models.IntegerField(default=0)
    #: Rises with every replay.
    replay = models.SmallIntegerField(default=0)
    token_id = models.BigIntegerField()
    #: The lane of the event: its workspace, type and key.
    topic = models.CharField(max_length=450)
    #: The items of for-eaches around the step: turns of a repeat share it.
    lane = models.CharField(max_length=400, default="", blank=True)
    state = models.CharField(max_length=1, default=DeliveryState.PENDING)
    #: Of an ignored one: not_wanted, wait_ended, replayed or discarded.
    why = models.CharField(max_length=20, default="", blank=True)
    error = models.JSONField(null=True)
    made_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    xid = models.BigIntegerField(default=0)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["event", "run", "node", "scope_id", "generation", "replay"], name="delivery_once"
            ),
            models.CheckConstraint(
                name="delivery_ended_iff_final",
                condition=Q(state=DeliveryState.PENDING, ended_at=None)
                | ~Q(state=DeliveryState.PENDING) & Q(ended_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["run", "id"], name="delivery_by_run"),
            models.Index(
                fields=["topic", "event", "token_id"], condition=Q(state=DeliveryState.PENDING), name="delivery_pending"
            ),
            models.Index(
                workspace_in("topic"), F("id").desc(), condition=Q(state=DeliveryState.DEAD), name="delivery_dead"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.run_id}:{self.node}"
