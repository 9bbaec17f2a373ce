"""Workflows and their published versions."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from orchestrator.models.fields import DrawnJSONField


class Workflow(models.Model):
    """The stable identity of a process. Its drawing lives in the designer, its versions here."""

    workspace = models.ForeignKey("orchestrator.Workspace", models.CASCADE, related_name="workflows")
    slug = models.SlugField(max_length=63)
    name = models.CharField(max_length=200)
    live_version = models.ForeignKey(
        "orchestrator.Version", models.SET_NULL, null=True, blank=True, related_name="live_for", db_constraint=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "slug"], name="workflow_slug_once")]

    def __str__(self) -> str:
        return self.slug


class Version(models.Model):
    """A published drawing with its compiled plan. A trigger refuses every UPDATE."""

    workflow = models.ForeignKey(Workflow, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    document = DrawnJSONField()
    plan = DrawnJSONField()
    content_hash = models.CharField(max_length=64)
    note = models.TextField(default="", blank=True)
    published_at = models.DateTimeField(db_default=Now(), editable=False)
    published_by = models.ForeignKey("orchestrator.User", models.SET_NULL, null=True, db_constraint=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workflow", "number"], name="version_number_once")]

    def __str__(self) -> str:
        return f"{self.workflow_id} version {self.number}"


class PlanGate(models.Model):
    """What `advance` must know of a gate, precomputed at publishing: which signals follow from its verdict.

    Signals are flat triples gate, edge, kind (0 ok, 1 skip, 2 fail).
    """

    pk = models.CompositePrimaryKey("version_id", "gate")
    version = models.ForeignKey(Version, models.CASCADE, related_name="gates", db_index=False)
    gate = models.IntegerField()
    node = models.IntegerField()
    mode = models.CharField(max_length=1)
    size = models.IntegerField()
    need = models.IntegerField()
    #: How many failed branches do not count, where all are awaited.
    tolerate = models.IntegerField(default=0)
    #: a abort, f finish, c continue; of the run's last gate: u undo
    on_failure = models.CharField(max_length=1, default="f")
    #: Seconds from the first signal, whatever it says (decision 24).
    deadline = models.FloatField(null=True)
    deadline_fails = models.BooleanField(default=True)
    cancels_late = models.BooleanField(default=False)
    #: The steps that a verdict may cancel, with the signals that each then sends: [{"node", "sig"}]
    branch = models.JSONField(default=list)
    #: The step behind each slot: its key, for machines, and its title, for messages.
    names = ArrayField(models.CharField(max_length=63), default=list)
    titles = ArrayField(models.TextField(), default=list)
    #: The container, of the last gate of its body.
    owner = models.IntegerField(null=True)
    #: Empty for an end gate, which leads to no step.
    queue = models.CharField(max_length=63, blank=True)
    timeout = models.FloatField()
    #: Signals sent onward when every branch was skipped.
    on_skip = ArrayField(models.IntegerField())
    #: Signals sent onward when the join cannot be satisfied and the step has no `error` edge.
    on_fail = ArrayField(models.IntegerField())
    #: Ungated steps behind its `error` port, started when the join cannot be satisfied: [{"node", "queue", "timeout"}]
    on_fail_spawn = models.JSONField(default=list)
    #: True when the step's `error` port is drawn: then its failed join is handled.
    on_fail_handled = models.BooleanField(default=False)
    #: The signal "all branches have arrived", of gates that may fire earlier; empty for the others.
    on_closed = ArrayField(models.IntegerField())

    class Meta:
        db_table = "orchestrator_plan_gate"

    def __str__(self) -> str:
        return f"gate {self.gate} of {self.version_id}"
