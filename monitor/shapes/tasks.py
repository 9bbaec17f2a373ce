"""Human tasks and decisions."""

from typing import Any

from rest_framework import serializers

from monitor.shapes.common import PageQuery, Shape
from orchestrator.api import TASK_TABS
from orchestrator.rest.serializers import StrictSerializer


class TaskQuery(PageQuery):
    """Which tasks are asked for."""

    tab = serializers.ChoiceField(TASK_TABS, required=False)


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
