"""What drf-spectacular must know of this API: its two ways in, its errors, its pages."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers

from orchestrator.queries.cursor import MOST, USUAL

PAGE_PARAMETERS = [
    OpenApiParameter("cursor", str, description="Where to go on: `next` of the page before."),
    OpenApiParameter("limit", int, description=f"Rows a page, 1 to {MOST}. Usually {USUAL}; more is cut to {MOST}."),
]

#: status -> (component, when it is answered)
NAMES = {
    "400": ("Invalid", "The request is not acceptable; `code` says why."),
    "401": ("Unauthenticated", "No session and no valid bearer token."),
    "403": ("Forbidden", "A member without the role, or (code `csrf`) a session without its CSRF token."),
    "404": ("NotFound", "Absent, or outside the caller's workspaces: the same answer."),
    "405": ("MethodNotAllowed", "The address knows other methods."),
    "406": ("NotAcceptable", "Answers are JSON."),
    "409": ("Conflict", "The thing is not in a state that allows this."),
    "411": ("LengthRequired", "The body has no Content-Length."),
    "412": ("StaleRevision", "Somebody else changed it in between."),
    "413": ("TooLarge", "The body is longer than the address takes."),
    "415": ("UnsupportedMediaType", "Bodies are JSON."),
    "428": ("RevisionRequired", "The change must say which revision it is based on."),
    "429": ("Throttled", "Too many requests; wait for Retry-After seconds."),
}
ON_READ = ("400", "401", "403", "404", "406", "429")
ON_WRITE = (*ON_READ, "409", "411", "413", "415")


def paged(item: type[serializers.Serializer[Any]]) -> Any:
    """The schema of a page of these items."""
    name = item.__name__.removesuffix("Serializer")
    fields = {
        "items": item(many=True),
        "next": serializers.CharField(allow_null=True, help_text="Cursor of what follows."),
    }
    return inline_serializer(f"{name}Page", fields)


class Schema(AutoSchema):
    """Every operation names the refusals it can answer, from the one error shape."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is not None:
            statuses = ON_READ if self.method == "GET" else ON_WRITE
            for status in statuses:
                name = NAMES[status][0]
                operation["responses"].setdefault(status, {"$ref": f"#/components/responses/{name}"})
        return operation


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer brl_…`."""

    target_class = "orchestrator.rest.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API token of the workspace."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The page's session."""

    target_class = "orchestrator.rest.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "The browser's session; unsafe methods also need the header X-CSRFToken.",
        }


def add_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Post-processing: the error shape and its named responses, referred to by every operation."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Error"] = {
        "type": "object",
        "properties": {
            "code": {"type": "string", "description": "For machines; keeps its meaning."},
            "message": {"type": "string", "description": "For people: the thing, the value and the way out."},
            "details": {"type": "object", "additionalProperties": {}, "description": "What belongs to the code."},
        },
        "required": ["code", "message", "details"],
    }
    components["responses"] = {
        name: {
            "description": sentence,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
        for name, sentence in NAMES.values()
    }
    return result
