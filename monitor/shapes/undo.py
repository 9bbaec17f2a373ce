"""The shapes of the undo's part of the monitor's API."""

from rest_framework import serializers

from monitor.shapes.common import RUN_STATES, Shape, StepError
from orchestrator.api import UndoState
from orchestrator.rest.serializers import StrictSerializer

UNDO_STATES = [str(state) for state in UndoState]


class UndoLine(Shape):
    """One line of the ledger: a step that ended, and what became of its undo."""

    entry = serializers.IntegerField()
    key = serializers.CharField()
    name = serializers.CharField()
    scope = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(UNDO_STATES)
    undo = serializers.CharField(allow_null=True, help_text="The kind of the undo step; null when none is drawn.")
    attempts = serializers.IntegerField()
    error = StepError(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    by = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField(allow_null=True)
    awaits = serializers.IntegerField(help_text="Later steps that must be settled first.")
    waits_for = serializers.ListField(child=serializers.CharField(), help_text="The keys of the first five of them.")
    child = serializers.UUIDField(allow_null=True, help_text="The sub-workflow's run whose own undo is stuck.")


class UndoLedger(Shape):
    """What is undone of a run."""

    run_state = serializers.ChoiceField(RUN_STATES)
    written = serializers.BooleanField(help_text="False: no undo has begun, or what still works is ending first.")
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="By state, of the whole ledger.")
    stuck = UndoLine(many=True, help_text="What waits for a person: stuck and unknown ones.")
    items = UndoLine(many=True)
    next = serializers.CharField(allow_null=True)


class ForeseenUndo(Shape):
    """What an undo would come to."""

    counts = serializers.DictField(child=serializers.IntegerField())
    items = UndoLine(many=True, help_text="The first 200.")
    working = serializers.ListField(child=serializers.CharField(), help_text="Steps at work at this moment.")


class ReasonedRequest(StrictSerializer):
    """Why; it stays in the ledger."""

    reason = serializers.CharField(max_length=500)
