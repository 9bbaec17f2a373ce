"""`settings/`: what admins decide for the whole workspace."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.core.json_types import JsonObject
from orchestrator.models import Workspace
from orchestrator.models.workspace import MOST_KEPT_DAYS
from orchestrator.queries.settings import workspace_for_settings
from orchestrator.rest.serializers import StrictSerializer
from orchestrator.rest.views import WorkspaceView, found
from orchestrator.services.settings import keep_runs_for

KEPT = "Days that an ended run is kept with all that belongs to it, and an event; null: for ever. Audit entries stay."


class SettingsSerializer(serializers.Serializer[Any]):
    """The settings as answered."""

    keep_runs_days = serializers.IntegerField(allow_null=True, help_text=KEPT)


class SettingsChangeSerializer(StrictSerializer):
    """The settings to change; what is not named stays."""

    keep_runs_days = serializers.IntegerField(
        allow_null=True, min_value=1, max_value=MOST_KEPT_DAYS, required=False, help_text=KEPT
    )


def show_settings(workspace: Workspace) -> JsonObject:
    return {"keep_runs_days": workspace.keep_runs_days}


class SettingsView(WorkspaceView):
    """The workspace's settings."""

    query_parameters = frozenset()

    @extend_schema(operation_id="settings_get", responses=SettingsSerializer)
    def get(self, request: Request, workspace: str) -> Response:
        """Show the workspace's settings."""
        return Response(show_settings(found(workspace_for_settings(self.actor))))

    @extend_schema(operation_id="settings_change", request=SettingsChangeSerializer, responses=SettingsSerializer)
    def patch(self, request: Request, workspace: str) -> Response:
        """Change settings."""
        wish = SettingsChangeSerializer(data=request.data, partial=True)
        wish.is_valid(raise_exception=True)
        if "keep_runs_days" in wish.validated_data:
            keep_runs_for(actor=self.actor, days=wish.validated_data["keep_runs_days"])
        return self.get(request, workspace)
