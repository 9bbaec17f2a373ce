"""The base of every API view. Order of refusals: 401, 404 (no member), 405, 403, 429, 411/413, then the view."""

from typing import Any, TypeVar

from django.db import models
from django.db.models import QuerySet
from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from orchestrator.core.errors import BranchlineError, NotFound
from orchestrator.models import User
from orchestrator.policy import ROUTES, Access, Actor, Need, require
from orchestrator.queries.actors import Bearer, actor_in
from orchestrator.rest import throttle
from orchestrator.rest.authentication import BearerAuthentication, SessionAuthentication
from orchestrator.rest.errors import ABSENT
from orchestrator.rest.parsing import MOST_BYTES, JsonParser, refuse_by_header

#: In an ASGI scope: what the request's deed raised, when it was done before (orchestrator.project.direct).
RAISED = "branchline.raised"
Row = TypeVar("Row", bound=models.Model)


class UnknownParameter(BranchlineError):
    """A query parameter that this address does not know."""

    code = "unknown_parameter"


class ApiView(APIView):
    """An API view outside workspaces. What a method needs is said by `policy.ROUTES` under the route's name."""

    authentication_classes = (BearerAuthentication, SessionAuthentication)
    permission_classes = ()
    throttle_classes = ()
    parser_classes = (JsonParser,)
    renderer_classes = (JSONRenderer,)
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]  # noqa: RUF012  the base class declares it so

    #: How long a body may be, in bytes.
    max_body_bytes = MOST_BYTES
    #: The query parameters this view reads; others answer 400. None: not checked.
    query_parameters: frozenset[str] | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.format_kwarg = None
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        self.admit(request, **kwargs)
        raised: Exception | None = getattr(request._request, "scope", {}).get(RAISED)
        if raised is not None:
            raise raised
        throttle.check(request)
        refuse_by_header(request.META, self.max_body_bytes)
        self.refuse_unknown_parameters(request)

    def admit(self, request: Request, **kwargs: Any) -> None:
        need = self.need(request)
        if need is not Access.PUBLIC and not request.user.is_authenticated:
            raise NotAuthenticated

    def need(self, request: Request) -> Need:
        """The table's word on this route and method. Raises MethodNotAllowed when there is none."""
        match = request.resolver_match
        row = ROUTES.get(match.view_name if match else "", {})
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method not in row:
            raise MethodNotAllowed(method)
        return row[method]

    def refuse_unknown_parameters(self, request: Request) -> None:
        if self.query_parameters is None:
            return
        for name in request.query_params:
            if name not in self.query_parameters:
                known = ", ".join(sorted(self.query_parameters)) or "none"
                raise UnknownParameter(f'There is no parameter "{name[:80]}" here. Known: {known}.')


class WorkspaceView(ApiView):
    """A view below /api/v1/w/{workspace}/. `self.actor` is the caller in that workspace, with present roles."""

    actor: Actor

    def admit(self, request: Request, **kwargs: Any) -> None:
        if not isinstance(request.user, User):
            raise NotAuthenticated
        bearer = request.auth
        actor = bearer.actor if isinstance(bearer, Bearer) else actor_in(kwargs["workspace"], request.user)
        if actor is None:
            raise NotFound(ABSENT)
        self.actor = actor
        request.actor = actor  # type: ignore[attr-defined]
        need = self.need(request)
        if not isinstance(need, Access):
            require(actor, need, target=request.path)


def found(rows: QuerySet[Row], **condition: Any) -> Row:
    """The one row that an actor's query admits. Raises the same NotFound for absent and for foreign rows."""
    row = rows.filter(**condition).first()
    if row is None:
        raise NotFound(ABSENT)
    return row
