"""Sign-in, account, members, tokens and audit: the pages that belong to no app."""

from django.urls import path

from orchestrator.web import account, members, queues, signin, tokens, trail

urlpatterns = [
    path("", signin.home, name="home"),
    path("signin/", signin.signin, name="signin"),
    path("signin/link/<str:link>/", signin.signin_link, name="signin-link"),
    path("signout/", signin.signout, name="signout"),
    path("theme/", account.theme, name="theme"),
    path("account/", account.account, name="account"),
    path("account/password/", account.password, name="password"),
    path("w/<slug:workspace>/members/", members.Members.as_view(), name="members"),
    path("w/<slug:workspace>/keep-runs/", members.KeepRuns.as_view(), name="keep-runs"),
    path("w/<slug:workspace>/members/<str:username>/remove/", members.remove, name="member-remove"),
    path("w/<slug:workspace>/queues/", queues.Queues.as_view(), name="queues"),
    path("w/<slug:workspace>/queues/<str:queue>/unlimit/", queues.unlimit, name="queue-unlimit"),
    path("w/<slug:workspace>/tokens/", tokens.Tokens.as_view(), name="tokens"),
    path("w/<slug:workspace>/tokens/<int:token_id>/revoke/", tokens.revoke, name="token-revoke"),
    path("w/<slug:workspace>/audit/", trail.Trail.as_view(), name="audit"),
]
