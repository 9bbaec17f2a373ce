"""The API of members, tokens and the audit trail."""

from django.urls import path

from orchestrator.rest import members

urlpatterns = [
    path("members/", members.MembersView.as_view(), name="api-members"),
    path("members/<str:username>/", members.MemberView.as_view(), name="api-member"),
    path("tokens/", members.TokensView.as_view(), name="api-tokens"),
    path("tokens/<int:token_id>/", members.TokenView.as_view(), name="api-token"),
    path("audit/", members.AuditView.as_view(), name="api-audit"),
]
