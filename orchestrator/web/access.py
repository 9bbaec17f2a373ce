"""Who may open a page. The same table as the API's, answered for people: a way to sign in, or a page that says why."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import AnonymousUser
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.views import View
from django_htmx.middleware import HtmxDetails

from orchestrator import audit
from orchestrator.core.errors import BranchlineError, Forbidden, NotFound
from orchestrator.models import User
from orchestrator.policy import ROUTES, Access, Actor, Denied, Need, require
from orchestrator.queries.actors import actor_in
from orchestrator.web.errors import error_page


class PageRequest(HttpRequest):
    """A request as our page views see it."""

    user: User | AnonymousUser
    htmx: HtmxDetails
    request_id: str


class SignedInRequest(PageRequest):
    """A request of somebody who is signed in."""

    user: User


class WorkspaceRequest(SignedInRequest):
    """A request of a member: `actor` holds the roles as they are now."""

    actor: Actor


Page = Callable[..., HttpResponseBase]


def page(view: Page) -> Page:
    """Open the view to whom `policy.ROUTES` says, for routes outside workspaces."""

    @wraps(view)
    def admitted(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        need = need_of(request)
        if need is None:
            return not_allowed(request)
        if need is not Access.PUBLIC and not request.user.is_authenticated:
            return to_signin(request)
        return private(view(request, *args, **kwargs))

    return admitted


def workspace_view(view: Page) -> Page:
    """Open a view below /w/{workspace}/ to members whom `policy.ROUTES` admits; `request.actor` is who they are.

    Anonymous people are sent to sign in; for everybody outside the workspace it does not exist.
    """

    @wraps(view)
    def admitted(request: HttpRequest, workspace: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not isinstance(request.user, User):
            return to_signin(request)
        actor = actor_in(workspace, request.user)
        if actor is None:
            raise Http404
        request.actor = actor  # type: ignore[attr-defined]
        need = need_of(request)
        if need is None:
            return not_allowed(request)
        try:
            if not isinstance(need, Access):
                require(actor, need, target=request.path)
            return private(view(request, *args, **kwargs))
        except BranchlineError as error:
            return refused(request, actor, error)

    return admitted


@method_decorator(workspace_view, name="dispatch")
class WorkspacePage(View):
    """A class-based page of a workspace. Its `get` and `post` receive a WorkspaceRequest."""


def need_of(request: HttpRequest) -> Need | None:
    """The table's word on this route and method, None when there is none."""
    match = request.resolver_match
    method = "GET" if request.method == "HEAD" else str(request.method)
    return ROUTES.get(match.view_name if match else "", {}).get(method)


def refused(request: HttpRequest, actor: Actor, error: BranchlineError) -> HttpResponse:
    """The page of a refusal that a view let through. Denials by services are recorded here, after their rollback."""
    if isinstance(error, NotFound):
        raise Http404(error.message) from error
    if isinstance(error, Forbidden) and not isinstance(error, Denied):
        audit.record(actor, error.error_code, target=request.path, allowed=False, detail={"message": error.message})
    return error_page(request, error.status, error.message, code=error.error_code)


def not_allowed(request: HttpRequest) -> HttpResponse:
    match = request.resolver_match
    return HttpResponseNotAllowed(list(ROUTES.get(match.view_name if match else "", {})))


def to_signin(request: HttpRequest) -> HttpResponse:
    """Ask to sign in and come back. A fragment's request moves the whole window instead of filling the fragment."""
    address = reverse("signin")
    if request.method == "GET" and not getattr(request, "htmx", False):
        return HttpResponseRedirect(f"{address}?{urlencode({'next': request.get_full_path()})}")
    if getattr(request, "htmx", False):
        return HttpResponse(status=401, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


def private(response: HttpResponseBase) -> HttpResponseBase:
    """Keep a page out of every cache: after signing out, Back must not show it."""
    if not response.has_header("Cache-Control"):
        add_never_cache_headers(response)
    return response
