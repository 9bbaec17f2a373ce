"""Our ASGI handler: what Django's own promises, on standing threads."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from channels.db import database_sync_to_async
from django.core.signals import request_finished, request_started
from django.db import connection, connections
from django.http import FileResponse
from django.test import Client

from designer.services.publishing import publish
from orchestrator.models import Run, Workspace
from orchestrator.project.handler import Pages
from tests.designer_cast import Cast, document, transform
from tests.factories import bearer, make_member, make_workspace
from tests.project.up_process import ROOT
from tests.run_factories import drawn, make_outputs, make_run, make_version, make_workflow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Pages(), raise_app_exceptions=False)  # type: ignore[arg-type]  # a plainer scope
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as made:
        yield made


@pytest.fixture
def headers(valkey: str) -> dict[str, str]:
    workspace = Workspace.objects.create(slug="demo", name="Demo")
    return {**bearer(workspace, make_member(workspace, "admin")), "Content-Type": "application/json"}


async def test_it_answers_with_the_walls_around_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz", headers={"X-Request-ID": "given-by-me"})
    assert answer.status_code == 200
    assert answer.headers["X-Request-ID"] == "given-by-me"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_it_serves_files(client: httpx.AsyncClient) -> None:
    answer = await client.get("/static/tokens.css")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, 'text/css; charset="utf-8"')
    assert answer.text.strip()


def large_output() -> tuple[str, dict[str, str]]:
    """The address of a file that is read item by item, and who may have it."""
    workspace = make_workspace("acme")
    document = drawn("each", "call", steps={"each": {"kind": "for_each"}, "call": {"parent": "each"}})
    run = make_run(make_version(make_workflow(workspace), document), state="succeeded")
    kept = make_outputs(run, "each", "call", list(range(600)))
    Run.objects.filter(pk=run.pk).update(output_ref=kept.pk)
    session = Client()
    session.force_login(make_member(workspace, "operator"))
    return f"/w/acme/runs/{run.pk}/values/output/", {name: one.value for name, one in session.cookies.items()}


async def test_what_is_read_from_the_database_while_it_is_sent_leaves_no_connection_open(
    client: httpx.AsyncClient, recwarn: pytest.WarningsRecorder
) -> None:
    address, cookies = await database_sync_to_async(large_output)()
    client.cookies.update(cookies)
    answer = await client.get(address)
    assert (answer.status_code, answer.json()) == (200, list(range(600)))
    assert not recwarn.list
    assert await database_sync_to_async(others)() == 0


def others() -> int:
    """Connections to this database beside our own."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        return int(cursor.fetchone()[0])


async def test_a_file_is_read_part_by_part_and_nothing_warns(
    client: httpx.AsyncClient, recwarn: pytest.WarningsRecorder
) -> None:
    # Django warns when it must read a synchronous iterator whole, which holds the event loop as long.
    source = ROOT / "static/icons.svg"
    whole = await client.get("/static/icons.svg")
    assert whole.content == source.read_bytes()
    assert len(whole.content) > 2 * FileResponse.block_size
    part = await client.get("/static/icons.svg", headers={"Range": "bytes=4000-5000"})
    assert (part.status_code, part.content) == (206, source.read_bytes()[4000:5001])
    unchanged = await client.get("/static/icons.svg", headers={"If-Modified-Since": whole.headers["Last-Modified"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert [str(warning.message) for warning in recwarn] == []


async def test_it_takes_a_body_and_refuses_what_it_cannot_read(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.post("/api/v1/w/demo/tokens/", content=b"{", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "json_invalid")


async def test_each_request_begins_and_finishes_once(client: httpx.AsyncClient) -> None:
    seen: list[str] = []

    def begun(**_: Any) -> None:
        seen.append("begun")

    def ended(**_: Any) -> None:
        seen.append("ended")

    request_started.connect(begun)
    request_finished.connect(ended)
    try:
        await client.get("/healthz")
        await client.get("/static/tokens.css")
    finally:
        request_started.disconnect(begun)
        request_finished.disconnect(ended)
    assert seen == ["begun", "ended"] * 2


async def test_a_request_leaves_no_connection_on_its_thread(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    handler = client._transport.app  # type: ignore[attr-defined]
    for _ in range(3):
        assert (await client.get("/api/v1/w/demo/tokens/", headers=headers)).status_code == 200
    held = handler._threads.submit(lambda: connections["default"].connection).result()
    assert held is None


@pytest.fixture
def small_pool() -> Iterator[None]:
    """Four connections for all threads, as the web process has sixteen."""
    database: Any = connections["default"]
    database.close()
    options = database.settings_dict["OPTIONS"]
    options["pool"] = {"min_size": 0, "max_size": 4, "timeout": 10}
    yield
    database.close()
    database.close_pool()
    del options["pool"]


@pytest.fixture
def published(valkey: str) -> dict[str, str]:
    """A workflow that can be started; no worker takes its steps. Headers to start it with."""
    cast = Cast("demo")
    publish(workflow=cast.workflow(document(transform("a"), name="Flow")), note="", actor=cast.actor)
    return {**bearer(cast.workspace, cast.editor), "Content-Type": "application/json"}


async def test_forty_that_wait_for_a_run_leave_the_database_to_the_next(
    client: httpx.AsyncClient, published: dict[str, str], small_pool: None
) -> None:
    address = "/api/v1/w/demo/workflows/flow/runs/?wait=30"
    waiting = [asyncio.create_task(client.post(address, json={"input": {}}, headers=published)) for _ in range(40)]
    shown: list[Any] = []
    while len(shown) < 40 and not any(task.done() for task in waiting):
        answer = await client.get("/api/v1/w/demo/runs/?limit=200", headers=published)
        assert answer.status_code == 200, answer.text
        shown = answer.json()["items"]
    assert len(shown) == 40
    assert not any(task.done() for task in waiting)
    await database_sync_to_async(end_all)()
    answers = await asyncio.gather(*waiting)
    assert {(answer.status_code, answer.json()["state"]) for answer in answers} == {(201, "succeeded")}


def end_all() -> None:
    Run.objects.update(state="succeeded", finished_at=datetime.now(UTC))
