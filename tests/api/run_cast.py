"""A workspace with people of every role, its runs, and a neighbour: for tests of the monitor's API."""

from typing import Any

from rest_framework.test import APIClient

from orchestrator.models import Run, User, Version, Workspace
from tests.factories import make_member, make_workspace
from tests.run_factories import drawn, make_run, make_version, make_workflow

DIAMOND = drawn("a -> b", "a -> c", "b -> d", "c -> d", steps={"b": {"retry": {"attempts": 3}}})


class RunCast:
    """A workspace, a published workflow and API clients of its members."""

    def __init__(self, slug: str = "acme") -> None:
        self.workspace: Workspace = make_workspace(slug)
        self.version: Version = make_version(make_workflow(self.workspace, slug="orders", name="Orders"), DIAMOND)
        self.operator: User = make_member(self.workspace, "operator", username=f"{slug}-olga")
        self.client = client_of(self.operator)

    def run(self, **fields: Any) -> Run:
        return make_run(self.version, **fields)

    def member(self, *roles: str, username: str = "") -> APIClient:
        """The API client of a new member."""
        return client_of(make_member(self.workspace, *roles, username=username))

    def url(self, rest: str) -> str:
        return f"/api/v1/w/{self.workspace.slug}/{rest}"

    def get(self, rest: str, client: APIClient | None = None, **parameters: Any) -> Any:
        """The body of a GET that succeeds."""
        response = (client or self.client).get(self.url(rest), parameters)
        assert response.status_code == 200, response.content
        return response.json()


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client
