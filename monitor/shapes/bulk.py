"""One action for many runs."""

from typing import Any

from rest_framework import serializers

from monitor.shapes.common import RUN_STATES, ControlRequest, Shape
from orchestrator.api import BULK_ACTIONS, MOST_BULK_RUNS
from orchestrator.rest.serializers import StrictSerializer


class BulkFilter(StrictSerializer):
    """Which runs are meant, as in the list of runs."""

    workflow = serializers.CharField(required=False, max_length=63)
    state = serializers.ListField(child=serializers.ChoiceField(RUN_STATES), required=False, max_length=20)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    error = serializers.CharField(required=False, max_length=200)
    key = serializers.CharField(required=False, max_length=200)


class BulkRequest(ControlRequest):
    """A change to many runs: those named, or those that fit a filter."""

    action = serializers.ChoiceField(sorted(BULK_ACTIONS))
    ids = serializers.ListField(child=serializers.UUIDField(), required=False, min_length=1, max_length=MOST_BULK_RUNS)
    filter = BulkFilter(required=False)
    dry_run = serializers.BooleanField(default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("ids" in attrs) == ("filter" in attrs):
            raise serializers.ValidationError({"ids": ["Send either ids or filter."]})
        return attrs


class BulkResult(Shape):
    """What became of one run."""

    id = serializers.UUIDField()
    ok = serializers.BooleanField()
    state = serializers.CharField(allow_blank=True)
    code = serializers.CharField(allow_blank=True)
    message = serializers.CharField(
        allow_blank=True, help_text="Why it is refused; of a dry run also what the other runs of the call do to it."
    )
    queued = serializers.BooleanField(help_text="It waits for a slot under a limit of open runs, or would.")


class BulkAnswer(Shape):
    """How many were asked, changed (or would be) and refused, and whether more fit the filter."""

    action = serializers.CharField()
    dry_run = serializers.BooleanField()
    asked = serializers.IntegerField()
    done = serializers.IntegerField()
    refused = serializers.IntegerField()
    more = serializers.BooleanField()
    results = BulkResult(many=True)
