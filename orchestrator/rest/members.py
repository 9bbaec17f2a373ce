"""`members/`: who belongs to the workspace. `tokens/`: API tokens. `audit/`: the trail."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator.core.json_types import JsonObject
from orchestrator.models import ApiToken, AuditEntry, Membership
from orchestrator.models.workspace import Role
from orchestrator.queries.cursor import page_of
from orchestrator.queries.members import audit_for_actor, matching, members_for_actor, tokens_for_actor
from orchestrator.rest.schema import PAGE_PARAMETERS, paged
from orchestrator.rest.serializers import StrictSerializer
from orchestrator.rest.views import WorkspaceView, found
from orchestrator.services.members import remove_member, set_member
from orchestrator.services.tokens import create_token, revoke_token

PAGING = frozenset({"cursor", "limit"})
ROLES = [str(role) for role in Role]


def when(value: datetime | None) -> str | None:
    """RFC 3339, or null."""
    return value.isoformat() if value else None


class MemberSerializer(serializers.Serializer[Any]):
    """A member as answered."""

    username = serializers.CharField()
    name = serializers.CharField()
    roles = serializers.ListField(child=serializers.ChoiceField(choices=ROLES))
    groups = serializers.ListField(child=serializers.CharField())
    active = serializers.BooleanField(help_text="False: the account is closed and can do nothing.")
    created_at = serializers.DateTimeField()


class MemberChangeSerializer(StrictSerializer):
    """What a member may do: both lists replace what was there."""

    roles = serializers.ListField(child=serializers.ChoiceField(choices=ROLES), max_length=len(ROLES))
    groups = serializers.ListField(child=serializers.CharField(max_length=63), max_length=50, default=list)


class NewMemberSerializer(MemberChangeSerializer):
    """Somebody with an account, who becomes a member or is changed."""

    username = serializers.CharField(max_length=150)


class TokenSerializer(serializers.Serializer[Any]):
    """A token as answered; its value is never among it."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    hint = serializers.CharField(help_text="How the value begins.")
    username = serializers.CharField(help_text="The owner.")
    roles = serializers.ListField(child=serializers.ChoiceField(choices=ROLES))
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class CreatedTokenSerializer(TokenSerializer):
    """The one answer that holds the value."""

    token = serializers.CharField(help_text="The value, shown now and never again.")


class NewTokenSerializer(StrictSerializer):
    """A token of the caller. Its roles are among the caller's own."""

    name = serializers.CharField(max_length=120)
    roles = serializers.ListField(child=serializers.ChoiceField(choices=ROLES), min_length=1, max_length=len(ROLES))
    expires_at = serializers.DateTimeField(allow_null=True, default=None)


class AuditEntrySerializer(serializers.Serializer[Any]):
    """One row of the trail."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor = serializers.CharField(help_text="The user name at that time; empty: Branchline itself.")
    via = serializers.CharField()
    action = serializers.CharField()
    target = serializers.CharField()
    allowed = serializers.BooleanField()
    detail = serializers.DictField()


def show_member(member: Membership) -> JsonObject:
    return {
        "username": member.user.username,
        "name": member.user.label,
        "roles": member.roles,
        "groups": member.groups,
        "active": member.user.is_active,
        "created_at": when(member.created_at),
    }


def show_token(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.pk,
        "name": token.name,
        "hint": token.hint,
        "username": token.user.username,
        "roles": token.roles,
        "created_at": when(token.created_at),
        "expires_at": when(token.expires_at),
        "last_used_at": when(token.last_used_at),
        "revoked_at": when(token.revoked_at),
    }


def show_entry(entry: AuditEntry) -> JsonObject:
    return {
        "id": entry.pk,
        "at": when(entry.at),
        "actor": entry.actor_name,
        "via": entry.via,
        "action": entry.action,
        "target": entry.target,
        "allowed": entry.allowed,
        "detail": entry.detail,
    }


class MembersView(WorkspaceView):
    """The workspace's members."""

    query_parameters = PAGING

    @extend_schema(operation_id="members_list", parameters=PAGE_PARAMETERS, responses=paged(MemberSerializer))
    def get(self, request: Request, workspace: str) -> Response:
        """List members."""
        return Response(page_of(members_for_actor(self.actor), request.query_params).body(show_member))

    @extend_schema(operation_id="members_set", request=NewMemberSerializer, responses={201: MemberSerializer})
    def post(self, request: Request, workspace: str) -> Response:
        """Add somebody by user name, or replace their roles and groups."""
        wish = NewMemberSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        member = set_member(actor=self.actor, **wish.validated_data)
        return Response(show_member(member), status=201)


class MemberView(WorkspaceView):
    """One member."""

    query_parameters = frozenset()

    @extend_schema(operation_id="members_get", responses=MemberSerializer)
    def get(self, request: Request, workspace: str, username: str) -> Response:
        """Show one member."""
        return Response(show_member(found(members_for_actor(self.actor), user__username=username)))

    @extend_schema(operation_id="members_change", request=MemberChangeSerializer, responses=MemberSerializer)
    def patch(self, request: Request, workspace: str, username: str) -> Response:
        """Replace roles, groups or both."""
        member = found(members_for_actor(self.actor), user__username=username)
        wish = MemberChangeSerializer(data=request.data, partial=True)
        wish.is_valid(raise_exception=True)
        changed = {"roles": member.roles, "groups": member.groups} | wish.validated_data
        return Response(show_member(set_member(actor=self.actor, username=username, **changed)))

    @extend_schema(operation_id="members_remove", responses={204: None})
    def delete(self, request: Request, workspace: str, username: str) -> Response:
        """Take somebody out of the workspace. The last admin stays (409)."""
        remove_member(actor=self.actor, username=username)
        return Response(status=204)


class TokensView(WorkspaceView):
    """One's own tokens; for admins everybody's."""

    query_parameters = PAGING

    @extend_schema(operation_id="tokens_list", parameters=PAGE_PARAMETERS, responses=paged(TokenSerializer))
    def get(self, request: Request, workspace: str) -> Response:
        """List tokens, newest first."""
        return Response(page_of(tokens_for_actor(self.actor), request.query_params).body(show_token))

    @extend_schema(operation_id="tokens_create", request=NewTokenSerializer, responses={201: CreatedTokenSerializer})
    def post(self, request: Request, workspace: str) -> Response:
        """Make a token of the caller. The answer holds its value, once."""
        wish = NewTokenSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        token, plain = create_token(actor=self.actor, **wish.validated_data)
        response = Response(show_token(found(tokens_for_actor(self.actor), pk=token.pk)) | {"token": plain}, status=201)
        response["Cache-Control"] = "no-store"
        return response


class TokenView(WorkspaceView):
    """One token."""

    query_parameters = frozenset()

    @extend_schema(operation_id="tokens_get", responses=TokenSerializer)
    def get(self, request: Request, workspace: str, token_id: int) -> Response:
        """Show one token (never its value)."""
        return Response(show_token(found(tokens_for_actor(self.actor), pk=token_id)))

    @extend_schema(operation_id="tokens_revoke", responses={204: None})
    def delete(self, request: Request, workspace: str, token_id: int) -> Response:
        """Revoke a token at once."""
        revoke_token(actor=self.actor, token_id=token_id)
        return Response(status=204)


class AuditView(WorkspaceView):
    """The audit trail; for editors what they did themselves."""

    query_parameters = PAGING | {"actor", "refused"}

    @extend_schema(
        operation_id="audit_list",
        parameters=[
            *PAGE_PARAMETERS,
            OpenApiParameter("actor", str, description="Only of this user name."),
            OpenApiParameter("refused", str, enum=["yes"], description="Only what was refused."),
        ],
        responses=paged(AuditEntrySerializer),
    )
    def get(self, request: Request, workspace: str) -> Response:
        """Read the trail, newest first."""
        wished = request.query_params
        entries = matching(
            audit_for_actor(self.actor), person=wished.get("actor", ""), refused=wished.get("refused") == "yes"
        )
        return Response(page_of(entries, wished).body(show_entry))
