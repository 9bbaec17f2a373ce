"""Five hundred viewers of one run, in one process."""

import asyncio

import pytest

from monitor import hub as hub_module
from orchestrator.models import Run, User, Workspace
from tests.run_factories import make_token
from tests.sockets.conftest import Opener, announce, sign_in, write
from tests.sockets.live import Live

VIEWERS = 500


async def test_all_hear_of_each_change_when_it_is_announced(
    connect: Opener, workspace: Workspace, viewer: User, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How soon, `make bench` measures. Here: because they are told, not because the room looks again by itself.
    monkeypatch.setattr(hub_module, "LOOK_AGAIN", 600.0)
    headers = await write(sign_in, viewer)
    lives: list[Live] = [await connect(workspace, headers) for _ in range(VIEWERS)]
    await asyncio.gather(*(live.say(watch="run", id=str(run.pk)) for live in lives))
    await asyncio.gather(*(live.hear(20) for live in lives))

    async def hear(live: Live, scope: str) -> None:
        frame = await live.hear(60)
        assert [change["scope"] for change in frame["changes"]] == [scope]

    for scope in range(1, 6):
        await write(make_token, run, "a", state="L", scope_id=scope)
        await announce(run)
        await asyncio.gather(*(hear(live, str(scope)) for live in lives))
