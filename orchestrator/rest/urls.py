"""The API of members, tokens, the audit trail, the workspace's settings and queues."""

from django.urls import path

from orchestrator.rest import members, queues, settings

urlpatterns = [
    path("members/", members.MembersView.as_view(), name="api-members"),
    path("members/<str:username>/", members.MemberView.as_view(), name="api-member"),
    path("tokens/", members.TokensView.as_view(), name="api-tokens"),
    path("tokens/<int:token_id>/", members.TokenView.as_view(), name="api-token"),
    path("audit/", members.AuditView.as_view(), name="api-audit"),
    path("settings/", settings.SettingsView.as_view(), name="api-settings"),
    path("queues/", queues.QueuesView.as_view(), name="api-queues"),
    path("queues/<str:queue>/", queues.QueueView.as_view(), name="api-queue"),
]
