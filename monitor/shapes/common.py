"""What several of the API's shapes hold."""

from typing import Any

from rest_framework import serializers

from orchestrator.api import MOST_ITEMS, RunState, StepRunState
from orchestrator.rest.serializers import StrictSerializer

RUN_STATES = [str(state) for state in RunState]
STEP_RUN_STATES = [str(state) for state in StepRunState]
Shape = serializers.Serializer[Any]


class StepError(Shape):
    """Why an attempt did not succeed."""

    code = serializers.CharField()
    message = serializers.CharField()


class Progress(Shape):
    """How far a for-each is."""

    total = serializers.IntegerField()
    ok = serializers.IntegerField()
    failed = serializers.IntegerField()


class PageQuery(Shape):
    """How lists are read on."""

    cursor = serializers.CharField(required=False, help_text="`next` of the page before.")
    limit = serializers.IntegerField(required=False, min_value=1, help_text=f"At most {MOST_ITEMS}; more is cut.")


class AfterQuery(Shape):
    """From where changes are asked for."""

    after = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)


class ScopeQuery(Shape):
    """Which of a step's scopes is asked for."""

    scope = serializers.RegexField(r"^[0-9]{1,18}$", required=False, max_length=18)


class Nothing(StrictSerializer):
    """A body that says nothing."""


class ControlRequest(StrictSerializer):
    """Why a run is cancelled, paused or resumed."""

    reason = serializers.CharField(required=False, allow_blank=True, max_length=500, default="")


class OutputsOf(Shape):
    """A for-each whose outputs are too large together to be one value: they are read item by item."""

    step = serializers.CharField(help_text="Its key.")
    run = serializers.UUIDField(help_text="Where its items are listed.")
    total = serializers.IntegerField(help_text="Its items.")
    bytes = serializers.IntegerField(help_text="Of JSON, of all outputs.")
