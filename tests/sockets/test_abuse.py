"""Messages nobody sends in good faith, and readers that do not read."""

import json
from contextlib import suppress
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.requests import Invalid, parse
from orchestrator.core.errors import JsonInvalid
from orchestrator.models import Run, User, Workspace
from tests.run_factories import make_token
from tests.sockets.conftest import Opener, announce, sign_in, write
from tests.sockets.live import Live


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "json_invalid"),
        ("not json", "json_invalid"),
        ("[" * 50_000, "json_too_deep"),
        ('{"watch": NaN}', "out_of_range"),
        ('{"watch": "run", "watch": "run"}', "json_invalid"),
        ('{"watch": "run", "id": "\\u0000"}', "text_invalid"),
        ("[]", "invalid"),
        ("null", "invalid"),
        ("{}", "invalid"),
        ('{"watch": "run", "unwatch": "run"}', "invalid"),
        ('{"watch": "presence"}', "unknown_watch"),
        ('{"watch": ["run"]}', "unknown_watch"),
        ('{"watch": "run.1,run.2"}', "unknown_watch"),
        ('{"watch": "tasks", "id": "x"}', "unknown_field"),
        ('{"unwatch": "run", "id": "x", "after": 1}', "unknown_field"),
        (b"\x00\xff", "text_expected"),
        (b"", "text_expected"),
    ],
)
async def test_it_answers_nonsense_and_stays_open(
    connect: Opener, workspace: Workspace, viewer: User, run: Run, message: str | bytes, code: str
) -> None:
    live = await connect(workspace, await write(sign_in, viewer))
    await live.send(message)
    assert await live.code_of_error() == code
    await live.say(watch="run", id=str(run.pk))
    assert (await live.hear())["run"] == str(run.pk)


@pytest.mark.parametrize("after", [-1, 2**63, 1.5, True, "1", [], 1e300])
async def test_it_refuses_positions_that_are_none(
    connect: Opener, workspace: Workspace, viewer: User, run: Run, after: Any
) -> None:
    live = await connect(workspace, await write(sign_in, viewer))
    await live.say(watch="run", id=str(run.pk), after=after)
    assert await live.code_of_error() == "invalid"


@pytest.mark.parametrize("message", ["x" * 65_537, "é" * 40_000, b"x" * 65_537, '"' + "x" * 2_000_000 + '"'])
async def test_a_message_that_is_too_long_ends_it(
    connect: Opener, workspace: Workspace, viewer: User, message: str | bytes
) -> None:
    live = await connect(workspace, await write(sign_in, viewer))
    await live.send(message)
    assert await live.closed(within=3) == 1009


async def test_too_many_messages_end_it(connect: Opener, workspace: Workspace, viewer: User) -> None:
    live = await connect(workspace, await write(sign_in, viewer))
    for _ in range(1_000):
        await live.say(watch="tasks")
    assert await live.closed(within=3) == 4429


async def test_one_socket_watches_a_bounded_number_of_runs(
    connect: Opener, workspace: Workspace, viewer: User, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.sockets.MOST_RUNS", 0)
    live = await connect(workspace, await write(sign_in, viewer))
    await live.say(watch="run", id=str(run.pk))
    assert await live.code_of_error() == "too_many_watches"


async def test_a_slow_reader_is_ended_and_can_come_back(
    connect: Opener, workspace: Workspace, viewer: User, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its frames pile up to a bound; with `after` it misses nothing."""
    monkeypatch.setattr("monitor.sockets.MOST_FRAMES", 2)
    headers = await write(sign_in, viewer)
    slow, quick = await connect(workspace, headers), await connect(workspace, headers)
    for live in (slow, quick):
        await live.say(watch="run", id=str(run.pk))
        first = await live.hear()
    slow.reading.clear()
    for scope in range(1, 6):
        await write(make_token, run, "a", scope_id=scope)
        await announce(run)
        await quick.hear()
    slow.reading.set()
    assert await slow.closed(within=3) == 4429
    again = await connect(workspace, headers)
    await again.say(watch="run", id=str(run.pk), after=first["seq"])
    assert [change["scope"] for change in (await again.hear())["changes"]] == ["1", "2", "3", "4", "5"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
ALMOST = st.fixed_dictionaries(
    {}, optional={"watch": JSON | st.just("run"), "unwatch": JSON, "id": JSON, "after": JSON, "more": JSON}
)


@given(st.text() | ALMOST.map(json.dumps) | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_every_message_is_understood_or_refused(text: str) -> None:
    with suppress(Invalid, JsonInvalid):
        assert parse(text) is not None


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text() | st.binary() | ALMOST.map(json.dumps), max_size=20))
def test_no_message_breaks_the_socket(workspace: Workspace, viewer: User, valkey: str, messages: list[Any]) -> None:
    async def converse() -> None:
        live = Live(f"/ws/w/{workspace.slug}/", await database_sync_to_async(sign_in)(viewer))
        assert await live.open() is None
        for message in messages:
            await live.send(message)
            frame = await live.hear()
            assert set(frame) in ({"error"}, {"dashboard"}, {"tasks"}), frame
        await live.leave()

    async_to_sync(converse)()
