"""The policy table against the real addresses: nothing unlisted, nothing stale, every answer as the table says."""

import pytest
from django.conf import settings
from django.test import Client
from django.urls import resolve

from orchestrator.models import AuditEntry, User, Workspace
from orchestrator.models.workspace import Role
from orchestrator.policy import POLICY, ROUTES, Access, Action, Denied, Need, may, narrowed, require
from orchestrator.rest.views import ApiView, WorkspaceView
from tests.factories import ROLES, actor_of, bearer
from tests.security.conftest import signed_in
from tests.security.routes import METHODS, Route, routes

PRINCIPALS = (*ROLES, "none")
#: SECURITY.md "Roles" written out a second time, by hand: a slip in one of the two shows. Capital: on everything.
TABLE = {
    "workflow.read": "V O - E Ad",
    "run.read": "V O a E Ad",
    "run.read_data": "- O a E Ad",
    "run.start": "- O - E Ad",
    "run.control": "- O - E Ad",
    "draft.edit": "- - - E Ad",
    "workflow.publish": "- - - E Ad",
    "trigger.edit": "- - - E Ad",
    "event.emit": "- O - E Ad",
    "secret.edit": "- - - e Ad",
    "task.read": "- O a E Ad",
    "task.decide": "- - a - -",
    "task.reassign": "- - a - Ad",
    "member.manage": "- - - - Ad",
    "token.manage": "v o a e Ad",
    "audit.read": "- - - e Ad",
    "settings.edit": "- - - - Ad",
}


def test_the_table_lists_every_action() -> None:
    assert set(TABLE) == {str(action) for action in Action} == {str(action) for action in POLICY}


@pytest.mark.parametrize("action", list(Action))
def test_each_role_may_what_the_table_says(action: Action, ours: Workspace, people: dict[str, User]) -> None:
    for role, cell in zip(ROLES, TABLE[action].split(), strict=True):
        actor = actor_of(ours, people[role])
        assert may(actor, action) is (cell != "-"), role
        if cell != "-":
            assert narrowed(actor, action) is cell.islower(), role


def test_every_action_has_a_sentence_for_its_disabled_button() -> None:
    assert all(entry.sentence.endswith(".") for entry in POLICY.values())


def test_every_route_has_its_row_and_every_row_its_route() -> None:
    assert {route.name for route in routes()} == set(ROUTES)


def test_no_name_is_used_by_two_routes() -> None:
    names = [route.name for route in routes()]
    assert len(names) == len(set(names))


def test_rows_of_workspace_routes_never_ask_for_less_than_membership() -> None:
    for route in routes():
        if route.in_workspace:
            needs = set(ROUTES[route.name].values())
            assert not needs & {Access.PUBLIC, Access.SIGNED_IN}, route.name


def test_every_api_route_of_a_workspace_is_a_workspace_view() -> None:
    for route in routes():
        if route.is_api:
            view = getattr(resolve(route.path("ours")).func, "cls", None)
            expected = WorkspaceView if route.in_workspace else ApiView
            assert route.name in {"api-schema", "api-docs"} or (view and issubclass(view, expected)), route.name


def expected(route: Route, method: str, who: str) -> set[int]:
    """The statuses that the table allows; for those who may, anything but a refusal of access or a breakdown."""
    if who == "anonymous":
        return {401} if route.is_api else {302}
    if who == "stranger":
        return {404}
    need = ROUTES[route.name].get(method)
    if need is None:
        return {405}
    return set() if admitted(need, who) else {403}


def admitted(need: Need, who: str) -> bool:
    if isinstance(need, Access):
        return True
    entry = POLICY[need]
    return who in {str(role) for role in entry.roles | entry.limited}


def check(client: Client, route: Route, who: str, headers: dict[str, str] | None = None) -> None:
    for method in METHODS:
        response = client.generic(method, route.path("ours"), b"{}", "application/json", headers=headers or {})
        wanted = expected(route, method, who)
        told = f"{method} {route.template} as {who}: {response.status_code}"
        if wanted:
            assert response.status_code in wanted, told
        else:
            assert response.status_code not in {401, 405}, told
            assert response.status_code < 500, told
            # Behind the table only a service may refuse, and it names its reason.
            assert response.status_code != 403 or response.json()["code"] != "forbidden", told


in_workspace = pytest.mark.parametrize(
    "route", [route for route in routes() if route.in_workspace], ids=lambda route: route.name
)


@in_workspace
def test_everybody_gets_the_answer_of_the_table(
    route: Route, people: dict[str, User], stranger: User, fresh_cache: None
) -> None:
    check(Client(), route, "anonymous")
    check(signed_in(stranger), route, "stranger")
    for who in PRINCIPALS:
        check(signed_in(people[who]), route, who)


@pytest.mark.parametrize(
    "route", [route for route in routes() if route.in_workspace and route.is_api], ids=lambda route: route.name
)
def test_tokens_get_the_answer_of_the_table(
    route: Route, ours: Workspace, theirs: Workspace, people: dict[str, User], stranger: User, fresh_cache: None
) -> None:
    check(Client(), route, "stranger", bearer(theirs, stranger))
    for who in ROLES:
        check(Client(), route, who, bearer(ours, people[who]))


def test_a_denial_is_recorded(ours: Workspace, people: dict[str, User]) -> None:
    actor = actor_of(ours, people["viewer"])
    with pytest.raises(Denied) as caught:
        require(actor, Action.MEMBER_MANAGE, target="member bob")
    assert caught.value.details == {"action": "member.manage"}
    entry = AuditEntry.objects.get(workspace_id=ours.pk, action="member.manage")
    assert (entry.actor_name, entry.target, entry.allowed) == ("ours-viewer", "member bob", False)


def test_the_documented_table_is_the_real_one() -> None:
    """docs/roles.md is what people read: its rows are made of the policy, so it cannot drift."""
    rows = []
    for action, entry in POLICY.items():
        cells = ["yes" if role in entry.roles else "some" if role in entry.limited else "-" for role in Role]
        rows.append(f"| `{action}` | {' | '.join(cells)} | {entry.note} |")
    text = (settings.BASE_DIR / "docs" / "roles.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("| `")] == rows
