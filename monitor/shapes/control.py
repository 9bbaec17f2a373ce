"""Cancelling, repeating and skipping: what is asked, and what would happen."""

from typing import Any

from rest_framework import serializers

from monitor.shapes.common import ControlRequest, Shape


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


def _scope() -> serializers.RegexField:
    return serializers.RegexField(
        r"^[0-9]{1,18}$", required=False, help_text="Of the step run, where a step stands in several items or turns."
    )


class RerunQuery(Shape):
    """By which version a rerun would go on, and from where."""

    newest = serializers.BooleanField(required=False, default=False, help_text="By the live version.")
    scope = _scope()


class RerunRequest(ControlRequest):
    """How a step and everything behind it are run again."""

    newest = serializers.BooleanField(default=False, help_text="By the live version instead of the run's own.")
    input = serializers.JSONField(required=False, help_text="Another run input; left out, it stays as it is.")
    scope = _scope()
    as_of = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=2**63 - 1,
        help_text="Of the preview; refused when somebody has retried, re-run or skipped something of the run since.",
    )


class PlaceQuery(Shape):
    """Where the step stands."""

    scope = _scope()


class StepRetryRequest(ControlRequest):
    """Which of the places where a step failed is tried again."""

    scope = _scope()


class SkipRequest(ControlRequest):
    """What a step that is left out would have given, and where control leaves it."""

    output = serializers.JSONField(required=False, allow_null=True, default=None)
    port = serializers.CharField(required=False, allow_null=True, default=None, max_length=63)
    scope = _scope()


class RepeatedStep(Shape):
    """One step that runs again. `effects`: external when repeating it may be seen outside."""

    key = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.CharField()
    effects = serializers.ChoiceField(["none", "external"])
    had = serializers.ChoiceField(["succeeded", "failed", "running", "open"], allow_null=True)
    inside = serializers.CharField(allow_null=True, help_text="The key of the container that holds it.")
    new_key = serializers.BooleanField(help_text="True: under a new idempotency key.")


class RepeatedPlace(Shape):
    """One container around a step that runs again. `number`: of the item or turn, from 1; null in a scope."""

    key = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.CharField()
    number = serializers.IntegerField(allow_null=True)


class RepeatPreview(Shape):
    """What would run again: `first` at once, `behind` as far as control reaches."""

    first = RepeatedStep(many=True)
    behind = RepeatedStep(many=True)
    version = serializers.IntegerField()
    new_keys = serializers.BooleanField(help_text="True: some under new idempotency keys; `new_key` says which.")
    places = RepeatedPlace(many=True, help_text="Where the step stands inside containers, the outermost first.")
    goes_on = RepeatedStep(
        many=True, help_text="What was cut short, or had not begun, when its containers ended, and goes on with it."
    )
    fails_again = serializers.BooleanField(
        help_text="Of a retry inside a container: something else has failed there, stands, and is not tried again."
    )
    as_of = serializers.IntegerField(help_text="Say it in a re-run that rests on this preview.")


class SkipPreview(Shape):
    """What a skip would let go on. `goes_on` and `fails_again` tell of a step that failed inside a container."""

    ports = serializers.ListField(child=serializers.CharField(), help_text="The usual one first.")
    places = RepeatedPlace(many=True)
    goes_on = RepeatedStep(many=True)
    fails_again = serializers.BooleanField(help_text="Something else has failed there, stands, and is not tried again.")
