"""What the monitor's API views share."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request

from orchestrator.rest.views import WorkspaceView

NOTHING = UUID(int=0)


def path_id(name: str) -> OpenApiParameter:
    """The schema of an id in the address."""
    return OpenApiParameter(name, OpenApiTypes.UUID, OpenApiParameter.PATH)


class MonitorView(WorkspaceView):
    """A view below a workspace whose query parameters are the fields of `query`."""

    query: type[serializers.Serializer[Any]] | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.query_parameters = frozenset(self.query().fields) if self.query else frozenset()
        super().initial(request, *args, **kwargs)

    def asked(self) -> dict[str, Any]:
        """The query parameters as `query` understands them. Raises ValidationError."""
        if self.query is None:
            return {}
        given = self.query(data=self.request.query_params.dict())
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)

    def id_of(self, name: str) -> UUID:
        """An id of the address. What cannot be one becomes the id that nothing has: both get the same answer."""
        try:
            return UUID(self.kwargs[name])
        except ValueError:
            return NOTHING


def checked(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """The request's body as the serializer understands it; no body is an empty one. Raises ValidationError."""
    asked = serializer(data={} if request.data is None else request.data)
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)
