"""What every page knows of its viewer: workspace, permissions, the inbox's count, the theme."""

from functools import cache
from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from orchestrator.models import User
from orchestrator.policy import POLICY, Actor, may
from orchestrator.queries.actors import workspaces_of
from orchestrator.queries.inbox import waiting_count

THEMES = ("light", "dark")


def viewer(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `theme` always; `workspaces` when signed in; `actor`, `may`, `why_not` in a workspace.

    `may.run_start` answers whether, `why_not.run_start` holds the sentence for a disabled button.
    """
    user = getattr(request, "user", None)
    context: dict[str, Any] = {"theme": theme_of(request, user)}
    if isinstance(user, User):
        context["workspaces"] = SimpleLazyObject(lambda: list(workspaces_of(user.pk)))
    actor = getattr(request, "actor", None)
    if isinstance(actor, Actor):
        context |= permissions(actor)
        context["actor"] = actor
        # Templates call it when they reach it, so pages without the bar never count.
        context["inbox_count"] = cache(lambda: waiting_count(actor))
    return context


def permissions(actor: Actor) -> dict[str, Any]:
    """Template names of the policy: dots become underscores."""
    allowed = {action.replace(".", "_"): may(actor, action) for action in POLICY}
    sentences = {action.replace(".", "_"): "" if may(actor, action) else POLICY[action].sentence for action in POLICY}
    return {"may": allowed, "why_not": sentences}


def theme_of(request: HttpRequest, user: object) -> str:
    """The chosen theme: a person's own, else this browser's; empty follows the system."""
    chosen = user.theme if isinstance(user, User) else request.COOKIES.get("theme", "")
    return chosen if chosen in THEMES else ""
