"""What happened in a run."""

from rest_framework import serializers

from monitor.shapes.common import AfterQuery, PageQuery, Progress, ScopeQuery, Shape, StepError


class ReachedBy(Shape):
    """An event that reached a step."""

    id = serializers.IntegerField(help_text="Where it is found: `events/{id}/`.")
    type = serializers.CharField()
    key = serializers.CharField(allow_blank=True)


class Happening(Shape):
    """One line of a run's history."""

    at = serializers.DateTimeField()
    kind = serializers.CharField(help_text="run, attempt, decision or event")
    what = serializers.CharField()
    actor = serializers.CharField(allow_blank=True)
    step = serializers.CharField(allow_null=True)
    scope = serializers.CharField(allow_null=True)
    attempt = serializers.IntegerField(allow_null=True)
    entry = serializers.IntegerField(allow_null=True)
    cause = serializers.ListField(child=serializers.IntegerField(), help_text="Entries that led to this one.")
    port = serializers.ListField(child=serializers.CharField(), allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    final = serializers.BooleanField()
    error = StepError(allow_null=True)
    comment = serializers.CharField(allow_blank=True)
    task = serializers.UUIDField(allow_null=True)
    undo = serializers.BooleanField(help_text="True: of the step's undo, not of the step.")
    event = ReachedBy(allow_null=True, help_text="Null also where you may not read the run's data.")
    progress = Progress(allow_null=True, help_text="Of a for-each: how its items ended.")


class HistoryView(Shape):
    """Some of a run's history, oldest first."""

    seq = serializers.IntegerField()
    items = Happening(many=True)
    next = serializers.CharField(allow_null=True)


class HistoryQuery(AfterQuery, PageQuery, ScopeQuery):
    """Which part of the history is asked for."""
