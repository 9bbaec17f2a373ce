"""The shapes of requests (strict) and answers (for the schema) of the designer's API."""

from typing import Any

from rest_framework import serializers

from orchestrator.core.document import MAX_PRIORITY
from orchestrator.rest.serializers import StrictSerializer

LONGEST_NOTE = 2_000
LONGEST_KEY = 200
LONGEST_EXPRESSION = 4_096


class WorkflowCreate(StrictSerializer):
    """A new workflow with an empty draft."""

    name = serializers.CharField(max_length=200)


class WorkflowPatch(StrictSerializer):
    """What can be changed of a workflow itself."""

    name = serializers.CharField(max_length=200)


class WorkflowCopy(StrictSerializer):
    """A copy needs nothing said."""


class PublishRequest(StrictSerializer):
    """Publishing."""

    note = serializers.CharField(max_length=LONGEST_NOTE, allow_blank=True, default="")


class LiveRequest(StrictSerializer):
    """Moving the live pointer needs nothing said."""


class PreviewRequest(StrictSerializer):
    """An expression to evaluate, as the step with this key would."""

    # Blanks matter in an f-string.
    expression = serializers.CharField(max_length=LONGEST_EXPRESSION, trim_whitespace=False)
    step = serializers.CharField(max_length=63, required=False, allow_blank=True, allow_null=True, default="")
    undo = serializers.BooleanField(default=False, help_text="As the step's undo, which reads output and error, too.")


class RunRequest(StrictSerializer):
    """A run to start."""

    input = serializers.JSONField(default=dict)
    correlation_id = serializers.CharField(max_length=LONGEST_KEY, required=False)
    business_key = serializers.CharField(max_length=LONGEST_KEY, required=False)
    priority = serializers.IntegerField(
        min_value=-MAX_PRIORITY,
        max_value=MAX_PRIORITY,
        required=False,
        help_text="Higher goes first.",
    )
    deadline = serializers.CharField(
        max_length=64,
        required=False,
        help_text='Instead of the workflow\'s own: "PT2H", or a time like "2030-01-31T18:00:00Z".',
    )


class FixView(serializers.Serializer[Any]):
    """An offered repair: a JSON Patch on the document."""

    label = serializers.CharField()  # type: ignore[assignment]  # a field, not the serializer's own label
    patch = serializers.ListField(child=serializers.DictField())


class EdgeView(serializers.Serializer[Any]):
    """An arrow."""

    port = serializers.CharField()
    to = serializers.CharField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # "from" is a word of Python.
        return {"from": serializers.CharField(), **super().get_fields()}


class ProblemView(serializers.Serializer[Any]):
    """One thing wrong with a document."""

    code = serializers.CharField()
    severity = serializers.ChoiceField(["error", "warning"])
    message = serializers.CharField()
    step = serializers.CharField(allow_null=True)
    edge = EdgeView(allow_null=True)
    field = serializers.CharField(allow_null=True)
    fix = FixView(allow_null=True)


class WorkflowView(serializers.Serializer[Any]):
    """A workflow."""

    slug = serializers.CharField()
    name = serializers.CharField()
    live_version = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class LastRunView(serializers.Serializer[Any]):
    """The run that started last."""

    id = serializers.CharField()
    state = serializers.CharField()
    started_at = serializers.DateTimeField()


class DraftSummary(serializers.Serializer[Any]):
    """How a draft stands."""

    revision = serializers.IntegerField()
    state = serializers.ChoiceField(["unpublished", "changed", "published"])
    errors = serializers.IntegerField()  # type: ignore[assignment]  # a field, not the serializer's own errors
    warnings = serializers.IntegerField()
    saved_at = serializers.DateTimeField()
    saved_by = serializers.CharField(allow_blank=True)


class WorkflowListed(WorkflowView):
    """A workflow in the list."""

    draft = DraftSummary()
    last_run = LastRunView(allow_null=True)
    open_runs = serializers.IntegerField()


class WorkflowPage(serializers.Serializer[Any]):
    """Some workflows; `next` is the cursor of the following ones."""

    items = WorkflowListed(many=True)
    next = serializers.CharField(allow_null=True)


class DraftView(serializers.Serializer[Any]):
    """A draft as it stands."""

    revision = serializers.IntegerField()
    document = serializers.DictField()
    problems = ProblemView(many=True)
    saved_at = serializers.DateTimeField()
    saved_by = serializers.CharField(allow_blank=True)
    live_version = serializers.IntegerField(allow_null=True)


class SavedView(serializers.Serializer[Any]):
    """What a save led to."""

    revision = serializers.IntegerField()
    problems = ProblemView(many=True)
    saved_at = serializers.DateTimeField()


class ProblemsView(serializers.Serializer[Any]):
    """Everything wrong with a document."""

    revision = serializers.IntegerField(required=False)
    problems = ProblemView(many=True)


class RootsView(serializers.Serializer[Any]):
    """What an expression may read, by root."""

    roots = serializers.DictField()


CERTAINTIES = ["certain", "possible"]


class UndoPlanWay(serializers.Serializer[Any]):
    """Where the run goes on in spite of the failure."""

    key = serializers.CharField()
    name = serializers.CharField()
    port = serializers.CharField(
        allow_null=True, help_text="By which it leaves this step; null: this join or container bears the failure."
    )
    certainty = serializers.ChoiceField(CERTAINTIES)


class UndoPlanStep(serializers.Serializer[Any]):
    """A step that an undo would come to. Steps of one stage are undone side by side."""

    key = serializers.CharField()
    name = serializers.CharField()
    stage = serializers.IntegerField()
    certainty = serializers.ChoiceField(CERTAINTIES, help_text="possible: it may not have happened, or nothing fails.")
    undo = serializers.CharField(allow_null=True, help_text="The kind of its undo; null: it acts and stays.")
    inside = serializers.CharField(allow_null=True, help_text="The container it is in.")
    by = serializers.CharField(
        allow_null=True, help_text="The scope that undoes it alone, stages of its own; null: it is undone with the run."
    )


class UndoPlanView(serializers.Serializer[Any]):
    """What would be undone if a step failed for good."""

    step = serializers.CharField()
    on_failure = serializers.ChoiceField(["fail", "undo"], help_text="fail: only when somebody asks for the undo.")
    run_fails = serializers.ChoiceField(
        [*CERTAINTIES, "never"],
        allow_null=True,
        help_text="never: something takes the failure before. null: see why_not.",
    )
    goes_on = UndoPlanWay(many=True, help_text="Where something takes the failure, from the inside out.")
    steps = UndoPlanStep(many=True, help_text="In the order of their undo; first those that scopes undo alone.")
    irreversible = serializers.ListField(
        child=serializers.CharField(), help_text="Keys of steps that stay as they are."
    )
    why_not = serializers.CharField(allow_null=True, help_text="Why it cannot be told: the drawing has errors.")


class PreviewError(serializers.Serializer[Any]):
    """Why there is no value."""

    code = serializers.CharField()
    message = serializers.CharField()


class PreviewView(serializers.Serializer[Any]):
    """The value of an expression, or why there is none."""

    value = serializers.JSONField(required=False, allow_null=True)
    error = PreviewError(required=False)
    unknown = serializers.CharField(required=False, help_text="Why it cannot be told yet: no run has been there.")


class VersionView(serializers.Serializer[Any]):
    """A published version."""

    number = serializers.IntegerField()
    live = serializers.BooleanField()
    note = serializers.CharField(allow_blank=True)
    content_hash = serializers.CharField()
    published_at = serializers.DateTimeField()
    published_by = serializers.CharField(allow_blank=True)


class PublishedView(VersionView):
    """A version that has just been published, with what its author should know."""

    warnings = ProblemView(many=True)


class VersionDetail(VersionView):
    """A published version with its drawing."""

    document = serializers.DictField()


class VersionPage(serializers.Serializer[Any]):
    """Some versions, the newest first."""

    items = VersionView(many=True)
    next = serializers.CharField(allow_null=True)


class DiffView(serializers.Serializer[Any]):
    """From the one version to the other."""

    added = serializers.ListField(child=serializers.CharField())
    removed = serializers.ListField(child=serializers.CharField())
    changed = serializers.ListField(child=serializers.DictField())
    moved = serializers.ListField(child=serializers.CharField())
    edges_added = EdgeView(many=True)
    edges_removed = EdgeView(many=True)
    workflow = serializers.ListField(child=serializers.CharField())


class ImportChange(serializers.Serializer[Any]):
    """Something that was taken out of an imported document."""

    code = serializers.CharField()
    step = serializers.CharField(allow_null=True)
    field = serializers.CharField()
    message = serializers.CharField()


class ImportedView(serializers.Serializer[Any]):
    """The workflow that an import made."""

    workflow = WorkflowView()
    changes = ImportChange(many=True)
    problems = ProblemView(many=True)


class KindsView(serializers.Serializer[Any]):
    """Every step kind, and every function that `call` can call."""

    kinds = serializers.ListField(child=serializers.DictField())
    functions = serializers.ListField(child=serializers.DictField())


class StartedView(serializers.Serializer[Any]):
    """A run, ended or not."""

    id = serializers.CharField()
    state = serializers.CharField()
    workflow = serializers.CharField()
    workflow_name = serializers.CharField()
    version = serializers.IntegerField()
    trigger = serializers.CharField()
    started_by = serializers.CharField(allow_null=True)
    seq = serializers.IntegerField()
    data_shown = serializers.BooleanField()
    input = serializers.JSONField(allow_null=True)
    output = serializers.JSONField(allow_null=True)
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    correlation_id = serializers.CharField()
    business_key = serializers.CharField(allow_null=True)
    error = serializers.DictField(allow_null=True)
