"""What each role may watch: every row of the policy's SOCKETS, by every role, as the table says."""

import uuid

import pytest

from monitor.requests import FIELDS
from orchestrator.models import User, Workspace
from orchestrator.policy import POLICY, SOCKETS, Access, Action
from tests.factories import ROLES, make_member
from tests.sockets.conftest import Opener, sign_in, write
from tests.sockets.live import Live


def test_every_subscription_has_its_row_and_every_row_its_subscription() -> None:
    assert {"connect", *FIELDS} == set(SOCKETS)
    assert SOCKETS["connect"] is Access.MEMBER


@pytest.fixture
def people(workspace: Workspace) -> dict[str, User]:
    """A member for each role."""
    return {role: make_member(workspace, role) for role in ROLES}


async def test_a_member_without_any_role_may_watch_nothing(workspace: Workspace) -> None:
    live = Live(f"/ws/w/{workspace.slug}/", await write(sign_in, await write(make_member, workspace)))
    assert await live.open() == 4403


@pytest.mark.parametrize("what", [what for what in SOCKETS if what != "connect"])
async def test_everybody_may_watch_what_the_table_says(
    connect: Opener, workspace: Workspace, people: dict[str, User], what: str
) -> None:
    need = SOCKETS[what]
    assert isinstance(need, Action)
    admitted = POLICY[need].roles | POLICY[need].limited
    for role, person in people.items():
        live = await connect(workspace, await write(sign_in, person))
        await live.say(watch=what, **({"id": str(uuid.uuid4())} if what == "run" else {}))
        frame = await live.hear()
        refused = frame.get("error", {}).get("code") == "forbidden"
        assert refused is (role not in {str(one) for one in admitted}), (role, frame)
