"""Scopes: what stands inside containers. A block of numbers for each container that is entered."""

from django.db import models

#: Numbers in one block; a power of two, so that the block of a scope is told from its number alone.
BLOCK = 131_072


class Scope(models.Model):
    """One entered container. Its body's tokens, gates and log rows carry `id + index`.

    The index is 1 for a scope's body, the turn (from 1) of a repeat, the item's place plus one in a for-each.
    The counters are a for-each's: touched once per flush of a lane, never once per item.
    """

    id = models.BigIntegerField(primary_key=True)
    run = models.ForeignKey(
        "orchestrator.Run", models.DO_NOTHING, db_constraint=False, related_name="scopes", db_index=False
    )
    #: The scope in which the container itself stands.
    parent = models.BigIntegerField()
    node = models.IntegerField()
    generation = models.IntegerField(default=0)
    #: The container's own token, which waits for what is in here.
    token_id = models.BigIntegerField()
    #: O open; C closed: tokens that are still found in it will not go on
    state = models.CharField(max_length=1, default="O")
    #: Since when it is closed although somebody held a token in it, who may have parked it: the keeper takes that away.
    draining_since = models.DateTimeField(null=True)
    total = models.IntegerField(default=0)
    next = models.IntegerField(default=0)
    chunk = models.IntegerField(default=0)
    lanes = models.IntegerField(default=0)
    ok = models.IntegerField(default=0)
    fail = models.IntegerField(default=0)
    tolerate = models.IntegerField(default=0)
    #: A for-each ends well as soon as this many items have.
    enough = models.IntegerField(null=True)
    #: After a retry: items stand here that wait until another one has ended (at most `lanes` at once).
    in_turn = models.BooleanField(db_default=False)
    #: No two open containers of a run have the same one.
    lock = models.CharField(max_length=63, null=True)  # noqa: DJ001  most have none
    items = models.JSONField(null=True)
    items_ref = models.UUIDField(null=True)
    cause = models.BigIntegerField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["run", "parent"], name="scope_by_run"),
            models.Index(fields=["run", "lock"], condition=models.Q(lock__isnull=False), name="scope_by_lock"),
            models.Index(fields=["id"], condition=models.Q(draining_since__isnull=False), name="scope_draining"),
        ]
        constraints = [
            models.CheckConstraint(
                name="scope_never_overfull", condition=models.Q(total__gte=models.F("ok") + models.F("fail"))
            )
        ]

    def __str__(self) -> str:
        return f"{self.run_id}:{self.node}@{self.id}"
