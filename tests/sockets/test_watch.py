"""Watching over a socket: what comes, from which position on, and for whom."""

import uuid
from collections import Counter
from typing import Any

import pytest
import redis
from django.db import connection

from monitor import hub as hub_module
from orchestrator.models import Run, User, Workspace
from orchestrator.queries.step_runs import step_runs
from tests.factories import make_member, make_workspace
from tests.run_factories import (
    make_event_wait,
    make_log,
    make_queued,
    make_run,
    make_task,
    make_token,
    make_version,
    make_workflow,
)
from tests.sockets.conftest import Opener, announce, sign_in, with_token, write
from tests.sockets.live import Live, states


@pytest.mark.parametrize("by", ["session", "token"])
async def test_it_tells_what_is_and_what_changes(
    connect: Opener, workspace: Workspace, viewer: User, run: Run, by: str
) -> None:
    await write(make_log, run, "a")
    await write(make_token, run, "b", state="L")
    headers = await write(sign_in, viewer) if by == "session" else await write(with_token, workspace, viewer)
    live = await connect(workspace, headers)
    await live.say(watch="run", id=str(run.pk))
    first = await live.hear()
    assert set(first) == {"run", "seq", "changes", "state"}
    assert (first["run"], first["state"]) == (str(run.pk), "running")
    assert states(first) == {"a": "succeeded", "b": "running"}

    await write(make_token, run, "c", state="L")
    await announce(run)
    second = await live.hear()
    assert states(second) == {"c": "running"}
    assert second["seq"] > first["seq"]


async def test_it_goes_on_after_a_position(connect: Opener, workspace: Workspace, viewer: User, run: Run) -> None:
    await write(make_log, run, "a")
    seen = (await write(step_runs, run)).seq
    await write(make_token, run, "b", state="L")
    live = await connect(workspace, await write(sign_in, viewer))
    await live.say(watch="run", id=str(run.pk), after=seen)
    assert states(await live.hear()) == {"b": "running"}


async def test_an_empty_first_frame_says_that_nothing_was_missed(
    connect: Opener, workspace: Workspace, viewer: User, run: Run
) -> None:
    await write(make_log, run, "a")
    seen = (await write(step_runs, run)).seq
    live = await connect(workspace, await write(sign_in, viewer))
    await live.say(watch="run", id=str(run.pk), after=seen)
    assert (await live.hear())["changes"] == []


async def test_a_burst_is_one_frame(connect: Opener, workspace: Workspace, viewer: User, run: Run) -> None:
    live = await connect(workspace, await write(sign_in, viewer))
    await live.say(watch="run", id=str(run.pk))
    await live.hear()
    for key in "abc":
        await write(make_token, run, key, state="L")
    for _ in range(20):
        await announce(run)
    assert set(states(await live.hear())) == {"a", "b", "c"}
    assert await live.silent(0.5)


async def test_it_tells_the_end_and_its_cause(connect: Opener, workspace: Workspace, viewer: User, run: Run) -> None:
    live = await connect(workspace, await write(sign_in, viewer))
    await live.say(watch="run", id=str(run.pk))
    await live.hear()
    await write(make_log, run, "a", outcome="F", error={"code": "declined", "message": "No."})
    error = {"code": "declined", "message": "No.", "node": 0}
    await write(
        Run.objects.filter(pk=run.pk).update, state="failed", finished_at=run.started_at, error=error, xid=2**62
    )
    await announce(run)
    frame = await live.hear()
    assert frame["state"] == "failed"
    assert frame["error"] == {"code": "declined", "message": "No.", "step": "a"}
    assert states(frame) == {"a": "failed", "b": "skipped", "c": "skipped"}


async def test_an_unwatched_run_is_silent(connect: Opener, workspace: Workspace, viewer: User, run: Run) -> None:
    live = await connect(workspace, await write(sign_in, viewer))
    await live.say(watch="run", id=str(run.pk))
    await live.hear()
    await live.say(unwatch="run", id=str(run.pk))
    await write(make_token, run, "a")
    await announce(run)
    assert await live.silent(0.5)


async def test_a_room_that_could_not_hear_looks_again_as_soon_as_it_can(
    connect: Opener, workspace: Workspace, viewer: User, run: Run, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "LOOK_AGAIN", 600.0)
    monkeypatch.setattr(hub_module, "CHECK", 600.0)
    monkeypatch.setattr(hub_module, "TRY_AGAIN", 0.05)
    monkeypatch.setattr(hub_module, "PER_PERSON", 0.0)
    live = await connect(workspace, await write(sign_in, viewer))
    await live.say(watch="run", id=str(run.pk))
    await live.hear()
    await live.say(watch="dashboard")
    assert "dashboard" in await live.hear()
    await write(make_token, run, "a", state="L")
    redis.Redis.from_url(valkey).client_kill_filter(_type="pubsub")
    frames = [await live.hear(), await live.hear()]
    assert [states(frame)["a"] for frame in frames if "changes" in frame] == ["running"]
    assert ["dashboard" in frame for frame in frames].count(True) == 1


async def test_a_lost_announcement_only_delays(
    connect: Opener, workspace: Workspace, viewer: User, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "LOOK_AGAIN", 0.2)
    monkeypatch.setattr(hub_module, "CHECK", 0.1)
    live = await connect(workspace, await write(sign_in, viewer))
    await live.say(watch="run", id=str(run.pk))
    await live.hear()
    await write(make_token, run, "a", state="L")
    assert states(await live.hear()) == {"a": "running"}


async def test_it_tells_counts_and_their_changes(
    connect: Opener, workspace: Workspace, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "PER_PERSON", 0.0)
    approver = await write(make_member, workspace, "approver", username="ann")
    live = await connect(workspace, await write(sign_in, approver))
    await live.say(watch="tasks")
    assert (await live.hear())["tasks"]["mine"] == 0
    await live.say(watch="dashboard")
    assert (await live.hear())["dashboard"]["waiting_for_people"] == 0
    await live.say(unwatch="dashboard")
    await write(make_task, run, "b", users=["ann"])
    await announce(run, tasks=True)
    assert (await live.hear())["tasks"]["mine"] == 1


async def test_foreign_runs_are_unknown_and_silent(
    connect: Opener, workspace: Workspace, viewer: User, run: Run
) -> None:
    other = await write(make_workspace, "other")
    foreign = await write(lambda: make_run(make_version(make_workflow(other))))
    live = await connect(workspace, await write(sign_in, viewer))
    texts = []
    for name in [str(foreign.pk), str(uuid.uuid4()), f"{run.pk},{foreign.pk}", "*", foreign.pk.hex, "", None, [], {}]:
        await live.say(watch="run", id=name)
        frame = await live.hear()
        assert frame["error"]["code"] == "not_found"
        texts.append(frame["error"]["message"])
    assert len(set(texts)) == 1, "a foreign run must look like an absent one"
    await write(make_token, foreign, "a", state="L")
    await announce(foreign)
    assert await live.silent(3)


async def test_approvers_see_runs_of_their_own_tasks_only(connect: Opener, workspace: Workspace, run: Run) -> None:
    ann = await write(make_member, workspace, "approver", username="ann")
    version = await write(make_version, await write(make_workflow, workspace))
    hers = await write(make_run, version)
    task = await write(make_task, hers, "b", users=["ann"])
    live = await connect(workspace, await write(sign_in, ann))
    await live.say(watch="run", id=str(run.pk))
    assert await live.code_of_error() == "not_found"
    await live.say(watch="run", id=str(hers.pk))
    assert states(await live.hear()) == {"b": "waiting"}

    await write(type(task).objects.filter(pk=task.pk).update, users=["bob"])
    await write(make_token, hers, "c", state="L")
    await announce(hers)
    assert await live.silent(0.5), "the task was given to somebody else"


async def test_the_key_of_an_awaited_event_is_told_with_the_data_only(
    connect: Opener, workspace: Workspace, viewer: User, run: Run
) -> None:
    """Both when somebody joins and when it changes; a viewer who is an approver reads the data of their own tasks."""
    await write(make_event_wait, run, "a", "order.paid", "17")
    both = await write(make_member, workspace, "viewer", "approver", username="ann")
    people = [viewer, await write(make_member, workspace, "operator"), both]
    lives = [await connect(workspace, await write(sign_in, person)) for person in people]
    for live in lives:
        await live.say(watch="run", id=str(run.pk))
    plain, whole = "Waiting for order.paid", "Waiting for order.paid with key 17"
    assert [texts(await live.hear()) for live in lives] == [[plain], [whole], [plain]]

    await write(make_task, run, "b", users=["ann"])
    await write(make_event_wait, run, "c", "order.paid", "18")
    await announce(run)
    told = [texts(await live.hear()) for live in lives]
    assert [text[-1] for text in told] == [plain, f"{plain} with key 18", f"{plain} with key 18"]
    assert "18" not in str(told[0])


async def test_the_key_of_a_limit_is_told_with_the_data_only(
    connect: Opener, workspace: Workspace, viewer: User, run: Run
) -> None:
    queued = await write(make_queued, run.version, "a", "17")
    lives = []
    for person in (viewer, await write(make_member, workspace, "operator")):
        lives.append(await connect(workspace, await write(sign_in, person)))
        await lives[-1].say(watch="run", id=str(queued.pk))
    told = "1 of 1 runs of this workflow with"
    assert [texts(await live.hear()) for live in lives] == [
        [f"{told} the same key are open"],
        [f"{told} key 17 are open"],
    ]


def texts(frame: dict[str, Any]) -> list[str]:
    """Why its steps wait."""
    return [change["waiting"]["text"] for change in frame["changes"] if change["waiting"]]


async def test_statements_do_not_grow_with_sockets(
    connect: Opener, workspace: Workspace, viewer: User, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One burst costs the same for one socket as for thirty."""
    monkeypatch.setattr(hub_module, "CHECK", 60.0)
    headers = await write(sign_in, viewer)
    statements: Counter[str] = Counter()

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        statements[sql] += 1
        return execute(sql, *rest)

    async def burst(lives: list[Live], key: str) -> int:
        await write(make_token, run, key, state="L")
        await write(connection.execute_wrappers.append, count)
        statements.clear()
        try:
            await announce(run)
            frames = [await live.hear() for live in lives]
        finally:
            await write(connection.execute_wrappers.remove, count)
        assert all(key in {change["key"] for change in frame["changes"]} for frame in frames)
        return statements.total()

    lives: list[Live] = []
    costs = []
    for key, number in [("a", 1), ("b", 30)]:
        while len(lives) < number:
            live = await connect(workspace, headers)
            await live.say(watch="run", id=str(run.pk))
            await live.hear()
            lives.append(live)
        costs.append(await burst(lives, key))
    assert costs[0] == costs[1] <= 5
