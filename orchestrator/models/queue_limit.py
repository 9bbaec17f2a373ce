"""What a workspace lets begin on a queue: so many steps at once, so many starts in a time (sql/queue_limits.sql)."""

from django.db import models
from django.db.models import Q

from orchestrator.models.workspace import Workspace

MOST_AT_ONCE = 10_000
MOST_STARTS = 100_000
LONGEST_PERIOD = 31 * 86_400  # seconds


class QueueLimit(models.Model):
    """One workspace's limit of one queue. A queue without a row has none."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="queue_limits")
    queue = models.CharField(max_length=63)
    #: Steps in workers' hands at once; NULL: as many as there are.
    concurrency = models.IntegerField(null=True)
    #: Starts in `period` seconds, evenly spaced, of which `burst` may come at once; all NULL: as fast as they come.
    starts = models.IntegerField(null=True)
    period = models.FloatField(null=True)
    burst = models.IntegerField(null=True)
    #: Up to when the starts that were given use up the rate (the "theoretical arrival time" of GCRA, ITU-T I.371).
    used_until = models.DateTimeField(null=True)
    #: Who stands in line: "-" nobody; "F" somebody, and no place is free (whoever gives one back opens the line);
    #: "T" somebody, and the rate allows the next start at `next_at`; "O" somebody, and a claim should look.
    line = models.CharField(max_length=1, default="-")
    next_at = models.DateTimeField(null=True)
    #: Since when it holds: what was at work before is not counted against it.
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "orchestrator_queue_limit"
        indexes = [models.Index(fields=["queue"], name="queue_limit_by_queue")]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "queue"], name="queue_limit_once"),
            models.CheckConstraint(
                condition=Q(line="T", next_at__isnull=False) | Q(line__in=["-", "F", "O"], next_at=None),
                name="queue_limit_line",
            ),
            models.CheckConstraint(
                condition=Q(concurrency__isnull=False) | Q(starts__isnull=False), name="queue_limit_limits"
            ),
            models.CheckConstraint(
                condition=Q(concurrency=None) | Q(concurrency__gte=1, concurrency__lte=MOST_AT_ONCE),
                name="queue_limit_concurrency",
            ),
            models.CheckConstraint(
                condition=Q(starts=None, period=None, burst=None)
                | Q(
                    period__isnull=False,
                    burst__isnull=False,
                    starts__gte=1,
                    starts__lte=MOST_STARTS,
                    period__gte=1,
                    period__lte=LONGEST_PERIOD,
                    burst__gte=1,
                    burst__lte=models.F("starts"),
                ),
                name="queue_limit_rate",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.queue} in {self.workspace_id}"
