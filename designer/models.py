"""The drawing while it is drawn: one draft per workflow, its steps and edges as rows."""

from typing import ClassVar

from django.conf import settings as site_settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from orchestrator.api import DrawnJSONField, Workflow


class Draft(models.Model):
    """What holds for the drawing as a whole. Its name is the workflow's name, its boxes and arrows are rows."""

    workflow = models.OneToOneField(Workflow, models.CASCADE, related_name="draft", primary_key=True)
    #: Rises with every save; a save names the one it is based on.
    revision = models.PositiveIntegerField(default=1)
    #: The revision that was published last; NULL before the first time.
    published_revision = models.PositiveIntegerField(null=True, blank=True)
    input = DrawnJSONField(default=dict)
    #: Meaningful only with `has_output`: a JSON null and no output at all are two things.
    output = DrawnJSONField(null=True, blank=True)
    has_output = models.BooleanField(default=False)
    settings = DrawnJSONField(default=dict)
    regions = DrawnJSONField(default=list)
    notes = DrawnJSONField(default=list)
    #: Counted at the last save, so that a list need not validate every drawing.
    errors = models.PositiveIntegerField(default=0)
    warnings = models.PositiveIntegerField(default=0)
    saved_at = models.DateTimeField(db_default=Now())
    saved_by = models.ForeignKey(
        site_settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="draft_published_not_ahead",
                condition=Q(published_revision=None) | Q(published_revision__lte=F("revision")),
            ),
        ]

    def __str__(self) -> str:
        return f"draft {self.revision} of {self.workflow_id}"


class Step(models.Model):
    """One box of a draft."""

    draft = models.ForeignKey(Draft, models.CASCADE, related_name="steps", db_index=False)
    #: Order in the document, with gaps: putting one in between touches its row alone.
    position = models.BigIntegerField()
    key = models.CharField(max_length=63)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=63)
    x = models.FloatField(default=0)
    y = models.FloatField(default=0)
    parent = models.CharField(max_length=63, default="", blank=True)
    disabled = models.BooleanField(default=False)
    config = DrawnJSONField(default=dict)
    #: retry, timeout, queue, undo, join, note: those that are set, as the document spells them
    options = DrawnJSONField(default=dict)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["draft", "key"], name="draft_step_key_once")]

    def __str__(self) -> str:
        return self.key


class Edge(models.Model):
    """One arrow of a draft. It names its ends by key: while drawing, an end may be missing."""

    draft = models.ForeignKey(Draft, models.CASCADE, related_name="edges", db_index=False)
    position = models.BigIntegerField()
    source = models.CharField(max_length=63)
    port = models.CharField(max_length=63)
    target = models.CharField(max_length=63)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["draft", "source", "port", "target"], name="draft_edge_once")
        ]

    def __str__(self) -> str:
        return f"{self.source}.{self.port} -> {self.target}"
