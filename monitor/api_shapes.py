"""The shapes of the monitor's API: what bodies and query parameters hold, and the schema of the answers."""

from typing import Any

from rest_framework import serializers

from orchestrator.api import (
    BULK_ACTIONS,
    ITEM_STATES,
    MOST_BULK_RUNS,
    MOST_ITEMS,
    TASK_TABS,
    RunState,
    StepRunState,
)
from orchestrator.rest.serializers import StrictSerializer

RUN_STATES = [str(state) for state in RunState]
STEP_RUN_STATES = [str(state) for state in StepRunState]
KINDS_OF_WAITING = ("person", "event", "time", "retry", "branch", "worker", "paused", "child", "lock", "limit", "undo")
Shape = serializers.Serializer[Any]


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
    seq = serializers.IntegerField(help_text="The position of this read; only grows.")


class RunPage(Shape):
    """Some runs, newest first."""

    items = RunView(many=True)
    next = serializers.CharField(allow_null=True, help_text="The cursor of what follows; null at the end.")


class RunDetail(RunView):
    """A run with its data."""

    input = serializers.JSONField(allow_null=True)
    output = serializers.JSONField(allow_null=True)
    data_shown = serializers.BooleanField(help_text="False: you may not read run data, so input and output are null.")


class StepError(Shape):
    """Why an attempt did not succeed."""

    code = serializers.CharField()
    message = serializers.CharField()


class Waiting(Shape):
    """Why a step does not move."""

    kind = serializers.ChoiceField(KINDS_OF_WAITING)
    text = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True)


class Progress(Shape):
    """How far a for-each is."""

    total = serializers.IntegerField()
    ok = serializers.IntegerField()
    failed = serializers.IntegerField()


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
    more = serializers.BooleanField(help_text="True: there are more, for counts stop at 1,000.")


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
    attempts = AttemptView(many=True)
    definition = serializers.DictField()
    data_shown = serializers.BooleanField()


class Happening(Shape):
    """One line of a run's history."""

    at = serializers.DateTimeField()
    kind = serializers.CharField(help_text="run, attempt or decision")
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
    progress = Progress(allow_null=True, help_text="Of a for-each: how its items ended.")


class HistoryView(Shape):
    """Some of a run's history, oldest first."""

    seq = serializers.IntegerField()
    items = Happening(many=True)
    next = serializers.CharField(allow_null=True)


class PageQuery(Shape):
    """How lists are read on."""

    cursor = serializers.CharField(required=False, help_text="`next` of the page before.")
    limit = serializers.IntegerField(required=False, min_value=1, help_text=f"At most {MOST_ITEMS}; more is cut.")


class RunQuery(PageQuery):
    """What a list of runs is narrowed to."""

    workflow = serializers.CharField(required=False, max_length=63, help_text="Its slug.")
    version = serializers.IntegerField(required=False, min_value=1, max_value=2**31 - 1)
    state = serializers.CharField(required=False, max_length=200, help_text="One or more states, comma-separated.")
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


class AfterQuery(Shape):
    """From where changes are asked for."""

    after = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)


class ScopeQuery(Shape):
    """Which of a step's scopes is asked for."""

    scope = serializers.RegexField(r"^[0-9]{1,18}$", required=False, max_length=18)


class HistoryQuery(AfterQuery, PageQuery, ScopeQuery):
    """Which part of the history is asked for."""


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


class TaskQuery(PageQuery):
    """Which tasks are asked for."""

    tab = serializers.ChoiceField(TASK_TABS, required=False)


class Nothing(StrictSerializer):
    """A body that says nothing."""


class ControlRequest(StrictSerializer):
    """Why a run is cancelled, paused or resumed."""

    reason = serializers.CharField(required=False, allow_blank=True, max_length=500, default="")


class CancelRequest(ControlRequest):
    """Why a run is cancelled, whether steps at work are given time, and whether what happened is undone."""

    hard = serializers.BooleanField(default=False, help_text="Take the steps that run away at once.")
    undo = serializers.BooleanField(default=False, help_text="Then undo what happened. Not together with hard.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["hard"] and attrs["undo"]:
            raise serializers.ValidationError(
                {"hard": ["An undo must know what happened: wait for the steps at work."]}
            )
        return attrs


class RerunQuery(Shape):
    """By which version a rerun would go on."""

    newest = serializers.BooleanField(required=False, default=False, help_text="By the live version.")


class RerunRequest(ControlRequest):
    """How a step and everything behind it are run again."""

    newest = serializers.BooleanField(default=False, help_text="By the live version instead of the run's own.")
    input = serializers.JSONField(required=False, help_text="Another run input; left out, it stays as it is.")


class SkipRequest(ControlRequest):
    """What a step that is left out would have given, and where control leaves it."""

    output = serializers.JSONField(required=False, allow_null=True, default=None)
    port = serializers.CharField(required=False, allow_null=True, default=None, max_length=63)


class RepeatedStep(Shape):
    """One step that runs again. `effects`: external when repeating it may be seen outside."""

    key = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.CharField()
    effects = serializers.ChoiceField(["none", "external"])
    had = serializers.ChoiceField(["succeeded", "failed", "running", "open"], allow_null=True)


class RepeatPreview(Shape):
    """What would run again: `first` at once, `behind` as far as control reaches."""

    first = RepeatedStep(many=True)
    behind = RepeatedStep(many=True)
    version = serializers.IntegerField()
    new_keys = serializers.BooleanField(help_text="True: under new idempotency keys.")


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
    message = serializers.CharField(allow_blank=True)


class BulkAnswer(Shape):
    """How many were asked, changed (or would be) and refused, and whether more fit the filter."""

    action = serializers.CharField()
    dry_run = serializers.BooleanField()
    asked = serializers.IntegerField()
    done = serializers.IntegerField()
    refused = serializers.IntegerField()
    more = serializers.BooleanField()
    results = BulkResult(many=True)


class Refusal(Shape):
    """Why you may not decide a task."""

    code = serializers.CharField()
    message = serializers.CharField()


class Fact(Shape):
    """A key fact of the request."""

    label = serializers.CharField()  # type: ignore[assignment]  # a name that fields use, too
    value = serializers.CharField(allow_blank=True)


class TaskCard(Shape):
    """A task in a list."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    state = serializers.CharField(help_text="open, claimed, done, expired or cancelled")
    run_id = serializers.UUIDField()
    workflow = serializers.CharField()
    workflow_name = serializers.CharField()
    step_key = serializers.CharField()
    opened_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    requester = serializers.CharField(allow_null=True)
    claimed_by = serializers.CharField(allow_null=True)
    assigned = serializers.CharField()
    quorum = serializers.IntegerField()
    given = serializers.IntegerField()
    outcome = serializers.CharField(allow_blank=True)
    outcome_label = serializers.CharField(allow_blank=True)
    my_outcome = serializers.CharField(allow_null=True)
    refusal = Refusal(allow_null=True)
    own = serializers.BooleanField()
    facts = Fact(many=True)


class TaskPage(Shape):
    """Some tasks."""

    items = TaskCard(many=True)
    next = serializers.CharField(allow_null=True)


class DecisionView(Shape):
    """An answer that was given."""

    user = serializers.CharField()
    outcome = serializers.CharField()
    outcome_label = serializers.CharField(allow_blank=True)
    values = serializers.DictField()
    comment = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()


class Assignees(Shape):
    """Who may decide."""

    users = serializers.ListField(child=serializers.CharField())
    roles = serializers.ListField(child=serializers.CharField())
    groups = serializers.ListField(child=serializers.CharField())


class TaskDetail(TaskCard):
    """A task with its form."""

    text = serializers.CharField(allow_blank=True)
    fields_ = serializers.ListField(child=serializers.DictField())
    outcomes = serializers.ListField(child=serializers.DictField())
    decisions = DecisionView(many=True)
    allow_requester = serializers.BooleanField()
    digest = serializers.CharField(help_text="Of the content shown: send it back with the decision.")
    deciders_left = serializers.IntegerField()
    assignees = Assignees()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # "fields" is a property of every serializer.
        return {"fields" if name == "fields_" else name: field for name, field in super().get_fields().items()}


class DecideRequest(StrictSerializer):
    """An answer."""

    outcome = serializers.CharField(max_length=63)
    values = serializers.DictField(default=dict)
    comment = serializers.CharField(allow_blank=True, default="", max_length=10_000)
    digest = serializers.CharField(max_length=64)


class Decided(Shape):
    """What an answer led to."""

    task_id = serializers.UUIDField()
    run_id = serializers.UUIDField()
    outcome = serializers.CharField()
    closed = serializers.BooleanField(help_text="True when this answer let the run go on.")
    given = serializers.IntegerField()
    quorum = serializers.IntegerField()


class ReassignRequest(StrictSerializer):
    """Who decides from now on."""

    users = serializers.ListField(child=serializers.CharField(max_length=150), default=list, max_length=100)
    roles = serializers.ListField(child=serializers.CharField(max_length=16), default=list, max_length=10)
    groups = serializers.ListField(child=serializers.CharField(max_length=63), default=list, max_length=100)
    comment = serializers.CharField(allow_blank=True, default="", max_length=10_000)
