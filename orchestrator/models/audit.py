"""The audit trail: append-only (a trigger refuses UPDATE and DELETE)."""

from django.db import models
from django.db.models.functions import Now


class AuditEntry(models.Model):
    """Who did, or was refused, what to which thing."""

    # Read by audit_by_workspace.
    workspace = models.ForeignKey(
        "orchestrator.Workspace", models.DO_NOTHING, null=True, db_constraint=False, db_index=False
    )
    actor = models.ForeignKey("orchestrator.User", models.DO_NOTHING, null=True, db_constraint=False)
    #: The actor's name at that time: it must outlive the account.
    actor_name = models.CharField(max_length=150, default="", blank=True)
    via = models.CharField(max_length=16, default="", blank=True)
    action = models.CharField(max_length=63)
    target = models.CharField(max_length=255, default="", blank=True)
    allowed = models.BooleanField(default=True)
    detail = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["workspace", "-id"], name="audit_by_workspace")]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"
