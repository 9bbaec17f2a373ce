"""A workspace is a team's walls: everything else belongs to exactly one."""

from enum import StrEnum
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

MOST_KEPT_DAYS = 36_500


class Role(StrEnum):
    """Additive sets of rights, not a ladder."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    EDITOR = "editor"
    ADMIN = "admin"


class Workspace(models.Model):
    """A team's walls."""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    #: Internal hosts ("host" or "host:port") that steps may reach; set by admins only.
    allowed_hosts = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    #: Days that an ended run is kept with all that belongs to it; NULL: for ever.
    keep_runs_days = models.IntegerField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(keep_runs_days=None) | Q(keep_runs_days__gte=1, keep_runs_days__lte=MOST_KEPT_DAYS),
                name="workspace_keeps_runs_days",
            )
        ]

    def __str__(self) -> str:
        return self.slug


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Members by what they may do."""

    def with_role(self, *roles: str) -> Self:
        # Small per workspace; served by the unique (workspace, user) index.
        return self.filter(roles__overlap=list(roles), user__is_active=True)


class Membership(models.Model):
    """One person's roles and groups in one workspace."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    roles = ArrayField(models.CharField(max_length=16), default=list)
    #: Names used by human tasks' `assignees.groups`.
    groups = ArrayField(models.CharField(max_length=63), default=list, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="membership_once"),
            models.CheckConstraint(
                condition=Q(roles__contained_by=[str(role) for role in Role]), name="membership_known_roles"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.workspace_id}"
