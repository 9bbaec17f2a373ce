"""Documents and workflows for tests of the designer."""

from itertools import pairwise
from typing import Any

from rest_framework.test import APIClient

from designer.services.workflows import create_workflow
from orchestrator.api import Workflow, Workspace
from tests.factories import actor_of, make_member, make_workspace


def transform(key: str, value: Any = 1, at: tuple[int, int] = (0, 0), **more: Any) -> dict[str, Any]:
    """A step that gives out a value."""
    return {
        "key": key,
        "name": key.capitalize(),
        "kind": "transform",
        "at": list(at),
        "config": {"value": value},
        **more,
    }


def document(*steps: dict[str, Any], name: str = "Order payment", **more: Any) -> dict[str, Any]:
    """A canonical document of these steps, each leading to the next."""
    keys = [step["key"] for step in steps]
    body: dict[str, Any] = {"format": "branchline/1", "name": name, "input": {"type": "object", "properties": {}}}
    body |= more
    body["steps"] = list(steps)
    body["edges"] = more.get("edges", [{"from": a, "to": b} for a, b in pairwise(keys)])
    body["notes"] = more.get("notes", [])
    return body


class Cast:
    """A workspace, an editor, and the editor's API client."""

    def __init__(self, slug: str = "") -> None:
        self.workspace: Workspace = make_workspace(slug)
        self.editor = make_member(self.workspace, "editor")
        self.actor = actor_of(self.workspace, self.editor)
        self.client = self.client_of(self.editor)

    def client_of(self, user: Any) -> APIClient:
        client = APIClient()
        client.force_login(user)
        return client

    def member(self, *roles: str) -> APIClient:
        """The API client of a new member."""
        return self.client_of(make_member(self.workspace, *roles))

    def url(self, rest: str) -> str:
        return f"/api/v1/w/{self.workspace.slug}/{rest}"

    def page(self, rest: str) -> str:
        return f"/w/{self.workspace.slug}/{rest}"

    def workflow(self, drawing: dict[str, Any] | None = None, name: str = "Order payment") -> Workflow:
        """A workflow with this draft."""
        return create_workflow(name=drawing["name"] if drawing else name, actor=self.actor, document=drawing)
