"""step-kinds/: what can be drawn."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from designer.api import serializers as shape
from orchestrator.api import step_kinds_json
from orchestrator.rest.views import WorkspaceView


class KindsView(WorkspaceView):
    """The palette."""

    query_parameters = frozenset()

    @extend_schema(operation_id="step_kinds", responses=shape.KindsView)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """Every step kind with its ports and form, and every function that `call` can call."""
        return Response(step_kinds_json())
