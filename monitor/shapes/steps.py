"""Step runs, items of a for-each, and one step with its attempts."""

from rest_framework import serializers

from monitor.shapes.common import (
    STEP_RUN_STATES,
    AfterQuery,
    OutputsOf,
    PageQuery,
    Progress,
    ScopeQuery,
    Shape,
    StepError,
)
from monitor.shapes.runs import RunView
from orchestrator.api import ITEM_STATES

KINDS_OF_WAITING = ("person", "event", "time", "retry", "branch", "worker", "paused", "child", "lock", "limit", "undo")


class Waiting(Shape):
    """Why a step does not move."""

    kind = serializers.ChoiceField(KINDS_OF_WAITING)
    text = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True)


class StepRunView(Shape):
    """A step's life inside the run."""

    key = serializers.CharField()
    scope = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(STEP_RUN_STATES)
    attempt = serializers.IntegerField()
    attempts_max = serializers.IntegerField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    port = serializers.ListField(child=serializers.CharField(), allow_null=True)
    error = StepError(allow_null=True)
    waiting = Waiting(allow_null=True)
    progress = Progress(allow_null=True, help_text="Of a for-each that has begun.")


class Tally(Shape):
    """A step inside a for-each, over all of its items."""

    key = serializers.CharField()
    state = serializers.ChoiceField(STEP_RUN_STATES, help_text="The one that asks for attention most.")
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Step runs by state.")
    port = serializers.ListField(child=serializers.CharField(), help_text="The ways by which control left it.")
    more = serializers.BooleanField(
        help_text="True: there are more; the newest 1,000 ends are counted, and 1,000 failures."
    )


class StepRunsView(Shape):
    """The step runs of a run, or those that changed."""

    seq = serializers.IntegerField(help_text="Send it as `after` to get later changes only.")
    run = RunView()
    steps = StepRunView(many=True)
    tallies = Tally(many=True, help_text="Always whole.")


class LogLine(Shape):
    """One line that a step wrote."""

    at = serializers.CharField()
    level = serializers.CharField()
    text = serializers.CharField(allow_blank=True)


class AttemptView(Shape):
    """One ended try: S succeeded, F failed, T timed out, U unknown (its worker died), K cancelled."""

    attempt = serializers.IntegerField()
    outcome = serializers.ChoiceField(["S", "F", "T", "U", "K"])
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField()
    error = StepError(allow_null=True)
    log = LogLine(many=True, allow_null=True)


class StepDetail(Shape):
    """A step's panel."""

    step = StepRunView(allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField(allow_null=True))
    input = serializers.JSONField(allow_null=True)
    output = serializers.JSONField(allow_null=True)
    outputs_of = OutputsOf(allow_null=True, help_text="Instead of an output that is too large to be one value.")
    attempts = AttemptView(many=True)
    definition = serializers.DictField()
    data_shown = serializers.BooleanField()
    child = serializers.UUIDField(allow_null=True, help_text="The run that a sub_workflow step started last.")


class StepsQuery(AfterQuery, ScopeQuery):
    """Which step runs are asked for."""


class ItemsQuery(PageQuery, ScopeQuery):
    """Which items of a for-each are asked for; `scope` is where the for-each itself stands."""

    state = serializers.ChoiceField(ITEM_STATES, required=False)


class ItemView(Shape):
    """One item of a for-each."""

    index = serializers.IntegerField(help_text="From 0.")
    scope = serializers.CharField(help_text="That of its step runs.")
    state = serializers.ChoiceField(ITEM_STATES)
    error = StepError(allow_null=True)


class ItemPage(Shape):
    """Items of a for-each, failed ones first."""

    progress = Progress(allow_null=True, help_text="Null while the for-each has not begun.")
    items = ItemView(many=True)
    next = serializers.CharField(allow_null=True)
