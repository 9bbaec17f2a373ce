"""What the designer's API views share."""

import re
from typing import Any

from rest_framework.request import Request

from designer.errors import RevisionRequired
from designer.queries.workflows import find_workflow
from orchestrator.api import Workflow
from orchestrator.rest.serializers import StrictSerializer
from orchestrator.rest.views import WorkspaceView

_REVISION = re.compile(r'(?:W/)?"?([0-9]{1,9})"?')


class WorkflowView(WorkspaceView):
    """A view below workflows/{slug}/."""

    def workflow(self) -> Workflow:
        """The workflow of the address. Raises NotFound."""
        return find_workflow(self.actor, self.kwargs["slug"])


def checked(serializer: type[StrictSerializer], request: Request) -> dict[str, Any]:
    """The request's body as the serializer understands it. Raises ValidationError; a missing body is an empty one."""
    asked = serializer(data={} if request.data is None else request.data)
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


def base_revision(request: Request) -> int | None:
    """The revision in `If-Match` (quotes optional), None without the header. Raises RevisionRequired for nonsense."""
    header = request.headers.get("If-Match")
    if header is None:
        return None
    found = _REVISION.fullmatch(header.strip())
    if found is None:
        raise RevisionRequired(f'"If-Match" is {header[:40]!r}. Send the revision that you loaded, like "12".')
    return int(found[1])


def needed_revision(request: Request) -> int:
    """As `base_revision`, but it must be there. Raises RevisionRequired."""
    revision = base_revision(request)
    if revision is None:
        raise RevisionRequired('Send the header "If-Match" with the revision that your change is based on, like "12".')
    return revision
