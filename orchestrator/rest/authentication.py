"""Who calls: a browser's session (with its CSRF token) or a bearer token."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.authentication import SessionAuthentication as DrfSessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from orchestrator.engine.prepared import Along
from orchestrator.models import User
from orchestrator.queries.actors import Bearer, find_bearer
from orchestrator.rest.errors import CsrfFailed
from orchestrator.services.tokens import note_use

REFUSAL = "The bearer token is unknown, expired or revoked. Create one under API tokens and send it again."
LONGEST_TOKEN = 200  # characters


def bearer_of(value: str, workspace: str, *along: Along, to_be_seen_again: bool = False) -> Bearer | None:
    """Whom the value of a token, as it was sent, stands for."""
    if not 0 < len(value) <= LONGEST_TOKEN:
        return None
    return find_bearer(value.strip(), workspace, *along, to_be_seen_again=to_be_seen_again)


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer brl_…`. A bad token is refused even beside a good session."""

    def authenticate(self, request: Request) -> tuple[User, Bearer] | None:
        scheme, _, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        workspace = request.parser_context["kwargs"].get("workspace", "")
        bearer = bearer_of(value, workspace)
        if bearer is None:
            raise AuthenticationFailed(REFUSAL)
        note_use(bearer.token)
        return bearer.token.user, bearer

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="branchline"'


class SessionAuthentication(DrfSessionAuthentication):
    """The page's own session cookie; unsafe methods need the page's CSRF token."""

    def enforce_csrf(self, request: Any) -> None:
        try:
            super().enforce_csrf(request)
        except PermissionDenied as error:
            raise CsrfFailed from error
