"""People, their API tokens, and one-time sign-in links."""

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class User(AbstractUser):
    """A person. What they may do is said by their memberships alone: staff and superuser flags open nothing."""

    time_zone = models.CharField(max_length=63, default="", blank=True)
    theme = models.CharField(max_length=8, default="", blank=True)

    @property
    def label(self) -> str:
        """The name to show to others."""
        return self.get_full_name() or self.username


class ApiToken(models.Model):
    """A bearer token. Only its SHA-256 is kept; its roles are cut to what its owner has now."""

    workspace = models.ForeignKey("orchestrator.Workspace", models.CASCADE, related_name="tokens")
    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=120)
    digest = models.BinaryField(unique=True, max_length=32)
    #: The first characters, so that a person can tell tokens apart.
    hint = models.CharField(max_length=12)
    roles = ArrayField(models.CharField(max_length=16), default=list)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.hint}… of {self.user_id}"


class SigninLink(models.Model):
    """A sign-in link that works once. Only its SHA-256 is kept."""

    user = models.ForeignKey(User, models.CASCADE, related_name="signin_links")
    digest = models.BinaryField(unique=True, max_length=32)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"link of {self.user_id}"
