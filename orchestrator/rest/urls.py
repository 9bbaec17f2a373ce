"""The API of members, tokens, the audit trail and the workspace's settings."""

from django.urls import path

from orchestrator.rest import members, settings

urlpatterns = [
    path("members/", members.MembersView.as_view(), name="api-members"),
    path("members/<str:username>/", members.MemberView.as_view(), name="api-member"),
    path("tokens/", members.TokensView.as_view(), name="api-tokens"),
    path("tokens/<int:token_id>/", members.TokenView.as_view(), name="api-token"),
    path("audit/", members.AuditView.as_view(), name="api-audit"),
    path("settings/", settings.SettingsView.as_view(), name="api-settings"),
]
