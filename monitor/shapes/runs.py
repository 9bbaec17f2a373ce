"""Runs, in lists and alone."""

from rest_framework import serializers

from monitor.shapes.common import RUN_STATES, OutputsOf, PageQuery, Shape


class RunError(Shape):
    """Why a run failed: the first step whose failure nobody took."""

    code = serializers.CharField()
    message = serializers.CharField()
    step = serializers.CharField(allow_null=True)


class RunView(Shape):
    """A run in a list."""

    id = serializers.UUIDField()
    workflow = serializers.CharField()
    workflow_name = serializers.CharField()
    version = serializers.IntegerField()
    state = serializers.ChoiceField(RUN_STATES)
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    correlation_id = serializers.CharField()
    business_key = serializers.CharField(allow_null=True)
    error = RunError(allow_null=True)
    trigger = serializers.CharField()
    started_by = serializers.CharField(allow_null=True)
    undo_stuck = serializers.BooleanField(
        help_text="A step of it could not be undone and waits for a person, whether the run is still open or not."
    )
    seq = serializers.IntegerField(help_text="The position of this read; only grows.")


class RunPage(Shape):
    """Some runs, newest first."""

    items = RunView(many=True)
    next = serializers.CharField(allow_null=True, help_text="The cursor of what follows; null at the end.")


class RunParent(Shape):
    """The step that started a run of a sub-workflow."""

    run = serializers.UUIDField()
    step = serializers.CharField()
    scope = serializers.CharField(allow_null=True, help_text="Its item or turn; null outside containers.")


class RunDetail(RunView):
    """A run with its data."""

    parent = RunParent(allow_null=True, help_text="Null also where you may not read the run above.")
    input = serializers.JSONField(allow_null=True)
    output = serializers.JSONField(allow_null=True)
    outputs_of = OutputsOf(allow_null=True, help_text="Instead of an output that is too large to be one value.")
    data_shown = serializers.BooleanField(help_text="False: you may not read run data, so input and output are null.")


class RunQuery(PageQuery):
    """What a list of runs is narrowed to."""

    workflow = serializers.CharField(required=False, max_length=63, help_text="Its slug.")
    version = serializers.IntegerField(required=False, min_value=1, max_value=2**31 - 1)
    state = serializers.CharField(
        required=False,
        max_length=200,
        help_text="One or more states, comma-separated; undo_stuck finds open runs with a stuck undo, too.",
    )
    since = serializers.DateTimeField(required=False, help_text="Started at this time or later.")
    until = serializers.DateTimeField(required=False, help_text="Started before this time.")
    correlation_id = serializers.CharField(required=False, max_length=200)
    business_key = serializers.CharField(required=False, max_length=200)
    key = serializers.CharField(required=False, max_length=200, help_text="The same as business_key.")
    error = serializers.CharField(required=False, max_length=100, help_text="The code of the failure.")

    def validate_state(self, value: str) -> list[str]:
        states = [state.strip() for state in value.split(",") if state.strip()]
        for state in states:
            if state not in RUN_STATES:
                raise serializers.ValidationError(f'"{state[:40]}" is no state. Known: {", ".join(RUN_STATES)}.')
        return states
