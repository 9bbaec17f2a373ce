"""Events, their deliveries, dead letters."""

from rest_framework import serializers

from monitor.shapes.common import PageQuery, Shape, StepError


class CloudEventRequest(Shape):
    """A CloudEvent 1.0 in structured mode. Extension attributes are texts beside these, named by a-z and 0-9."""

    specversion = serializers.ChoiceField(["1.0"])
    id = serializers.CharField(max_length=200, help_text="The sender's own; with `source` it tells a repetition.")
    source = serializers.CharField(max_length=400)  # type: ignore[assignment]  # a name that fields use, too
    type = serializers.RegexField(r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$", max_length=200)
    key = serializers.CharField(
        required=False, max_length=200, help_text="What steps tell apart by: an order's number."
    )
    subject = serializers.CharField(required=False, max_length=400)
    time = serializers.DateTimeField(required=False, help_text="RFC 3339 with its zone.")
    datacontenttype = serializers.ChoiceField(["application/json"], required=False)
    data = serializers.JSONField(required=False, allow_null=True)  # type: ignore[assignment]  # so do serializers


class Published(Shape):
    """An event that was accepted."""

    id = serializers.IntegerField(help_text="Where it is found: `events/{id}/`.")
    event = serializers.CharField(help_text="The CloudEvents id.")
    duplicate = serializers.BooleanField(help_text="True: its source had sent this id before; `id` is the first one's.")
    delivered_to = serializers.IntegerField(help_text="Steps that waited for it.")


class Counts(Shape):
    """Deliveries by state."""

    pending = serializers.IntegerField()
    delivered = serializers.IntegerField()
    ignored = serializers.IntegerField(help_text="Not wanted by the step's `where`, or too late.")
    dead = serializers.IntegerField(help_text="Dead letters.")


class EventView(Shape):
    """An event in a list."""

    id = serializers.IntegerField()
    event = serializers.DictField(help_text="The CloudEvent as steps see it, without its data.")
    accepted_at = serializers.DateTimeField()
    published_by = serializers.CharField(allow_null=True)
    deliveries = Counts()


class EventPage(Shape):
    """Some events, the newest first."""

    items = EventView(many=True)
    next = serializers.CharField(allow_null=True)


class DeliveryView(Shape):
    """An event at one step."""

    id = serializers.IntegerField()
    event = serializers.IntegerField(help_text="The event's id.")
    type = serializers.CharField()
    key = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(["pending", "delivered", "ignored", "dead"])
    run = serializers.UUIDField()
    workflow = serializers.CharField()
    workflow_name = serializers.CharField()
    business_key = serializers.CharField(allow_null=True, help_text="Of the run.")
    step = serializers.CharField()
    scope = serializers.CharField(allow_null=True, help_text="Its item or turn; null outside containers.")
    replay = serializers.IntegerField(help_text="How often it had been replayed before.")
    made_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    error = StepError(allow_null=True)
    replayable = serializers.BooleanField(
        allow_null=True, help_text="Of a dead letter: whether the step waits for such an event now."
    )


class DeliveryPage(Shape):
    """Some deliveries."""

    items = DeliveryView(many=True)
    next = serializers.CharField(allow_null=True)


class EventDetail(Shape):
    """An event with its data and a page of its deliveries."""

    id = serializers.IntegerField()
    event = serializers.DictField(help_text="The CloudEvent as steps see it.")
    accepted_at = serializers.DateTimeField()
    published_by = serializers.CharField(allow_null=True)
    counts = Counts()
    deliveries = DeliveryPage()


class EventQuery(PageQuery):
    """What a list of events is narrowed to."""

    type = serializers.CharField(required=False, max_length=200)
    key = serializers.CharField(required=False, max_length=200)
    source = serializers.CharField(required=False, max_length=400)  # type: ignore[assignment]
    since = serializers.DateTimeField(required=False, help_text="Accepted at this time or later.")
    until = serializers.DateTimeField(required=False, help_text="Accepted before this time.")
