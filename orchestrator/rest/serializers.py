"""What every serializer of the API shares."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know, read-only ones too: nothing is dropped silently, nothing mass-assigned."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            writable = {name for name, field in self.fields.items() if not field.read_only}
            unknown = [str(name) for name in data if name not in writable]
            if unknown:
                known = ", ".join(sorted(writable)) or "none"
                message = f"There is no such field here. Known fields: {known}."
                raise ValidationError({name[:80]: [ErrorDetail(message, code="unknown_field")] for name in unknown})
        return super().to_internal_value(data)


class ErrorSerializer(serializers.Serializer[Any]):
    """The shape of every refusal."""

    code = serializers.CharField(help_text="For machines; never changes its meaning.")
    message = serializers.CharField(help_text="For people: the thing, the value and the way out.")
    details = serializers.DictField(help_text="What belongs to the code: fields, problems, revisions.")
