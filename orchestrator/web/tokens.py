"""The API tokens page: one's own tokens, for admins everybody's. A value is shown once, in the answer that made it."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from orchestrator.models import ApiToken
from orchestrator.policy import Action, narrowed
from orchestrator.queries.cursor import page_of
from orchestrator.queries.members import tokens_for_actor
from orchestrator.services.tokens import TokenInvalid, create_token, revoke_token
from orchestrator.web.access import WorkspacePage, WorkspaceRequest, workspace_view
from orchestrator.web.forms import TokenForm


class Tokens(WorkspacePage):
    """The list, and the form of a new token."""

    def get(self, request: WorkspaceRequest) -> HttpResponse:
        held = request.actor.roles
        return self.show(request, TokenForm(held=held, initial={"roles": sorted(held)}))

    def post(self, request: WorkspaceRequest) -> HttpResponse:
        form = TokenForm(request.POST, held=request.actor.roles)
        if form.is_valid():
            try:
                token, plain = create_token(
                    actor=request.actor,
                    name=form.cleaned_data["name"],
                    roles=form.cleaned_data["roles"],
                    expires_at=form.expires_at,
                )
            except TokenInvalid as error:
                form.add_error(None, error.message)
            else:
                fresh = TokenForm(held=request.actor.roles, initial={"roles": sorted(request.actor.roles)})
                return self.show(request, fresh, made=token, plain=plain, status=201)
        return self.show(request, form, status=400)

    def show(
        self,
        request: WorkspaceRequest,
        form: TokenForm,
        *,
        made: ApiToken | None = None,
        plain: str = "",
        status: int = 200,
    ) -> HttpResponse:
        context = {
            "page": page_of(tokens_for_actor(request.actor), request.GET),
            "form": form,
            "made": made,
            "plain": plain,
            "everybody": not narrowed(request.actor, Action.TOKEN_MANAGE),
        }
        return render(request, "web/tokens.html", context, status=status)


@workspace_view
def revoke(request: WorkspaceRequest, token_id: int) -> HttpResponse:
    """End a token at once."""
    revoke_token(actor=request.actor, token_id=token_id)
    messages.success(request, "The token is revoked. It opens nothing any more.")
    return HttpResponseRedirect(reverse("tokens", args=[request.actor.workspace_slug]))
