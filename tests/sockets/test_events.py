"""Who watches events is told when one comes, reaches a step, or is settled; nobody else is bothered."""

from typing import Any
from uuid import uuid4

import pytest

from monitor import hub as hub_module
from orchestrator.models import Run, Workspace
from orchestrator.services.dead_letters import discard_delivery
from orchestrator.services.events import Published, publish_event
from tests.factories import actor_of, make_member, make_workspace
from tests.run_factories import make_delivery, make_event
from tests.sockets.conftest import Opener, sign_in, write


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "PER_PERSON", 0.0)


def publish(workspace: Workspace, **more: Any) -> Published:
    actor = actor_of(workspace, make_member(workspace, "operator"))
    event = {"id": str(uuid4()), "source": "/shop", "type": "order.paid", "key": "17", "data": None, **more}
    return publish_event(actor=actor, event=event)


async def test_an_event_that_nobody_waits_for_is_told(connect: Opener, workspace: Workspace) -> None:
    headers = await write(sign_in, await write(make_member, workspace, "operator"))
    events, front = await connect(workspace, headers), await connect(workspace, headers)
    await events.say(watch="events")
    await front.say(watch="dashboard")
    assert await events.hear() == {"events": {"dead": 0}}
    await front.hear()
    await write(publish, workspace, id="once")
    assert await events.hear() == {"events": {"dead": 0}}
    await write(publish, await write(make_workspace, "other"))
    await write(publish, workspace, id="once")  # nothing happens again
    assert await events.silent(0.4)
    assert await front.silent(0.1)


async def test_a_settled_dead_letter_is_told_to_the_front_page_too(
    connect: Opener, workspace: Workspace, run: Run
) -> None:
    operator = await write(make_member, workspace, "operator")
    dead = await write(lambda: make_delivery(make_event(workspace), run, "a", "X"))
    live = await connect(workspace, await write(sign_in, operator))
    await live.say(watch="events")
    assert await live.hear() == {"events": {"dead": 1}}
    await live.say(watch="dashboard")
    assert (await live.hear())["dashboard"]["dead_letters"] == 1
    await write(lambda: discard_delivery(actor=actor_of(workspace, operator), delivery=dead.pk))
    frames = [await live.hear(), await live.hear()]
    assert {"events": {"dead": 0}} in frames
    assert [frame["dashboard"]["dead_letters"] for frame in frames if "dashboard" in frame] == [0]
