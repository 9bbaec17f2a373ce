"""The short way of the hot routes beside the whole way: one request goes both, and the answers must be one."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from designer.services.publishing import publish
from orchestrator.models import ApiToken, AuditEntry, HumanTask, User
from orchestrator.project.direct import THREADS, Answer, Direct, Outcome, Plain
from orchestrator.project.handler import Pages
from orchestrator.project.hot_routes import HOT_ROUTES
from tests.designer_cast import Cast, document, transform
from tests.factories import bearer
from tests.run_factories import make_run, make_task

ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
START = "/api/v1/w/demo/workflows/flow/runs/"
#: What differs between two requests that are the same.
OWN = {"id", "run_id", "task_id", "started_at", "seq", "correlation_id", "request_id", "run"}
INPUT = {"type": "object", "properties": {"amount": {"type": "integer"}}}
OUTCOMES = [{"key": "yes", "label": "Yes"}, {"key": "no", "label": "No", "comment": "required"}]


class Spied(Direct):
    """Remembers what came of the requests that it took."""

    def __init__(self) -> None:
        self.taken: list[Outcome] = []
        super().__init__(HOT_ROUTES)

    async def outcome(self, plain: Plain, body: bytes) -> Outcome:
        self.taken.append(await super().outcome(plain, body))
        return self.taken[-1]

    def on_each_thread(self, act: Callable[[Any], object]) -> None:
        """Do something with the database connection of each."""
        all_are_here = threading.Barrier(THREADS)

        def on_this() -> None:
            all_are_here.wait(10)
            act(connections["default"])

        for acting in [self._threads.submit(on_this) for _ in range(THREADS)]:
            acting.result()


@dataclass
class House:
    """A workflow to start, tasks to decide, and the two ways: `short` tries the short one first."""

    cast: Cast
    spied: Spied
    short: Pages
    whole: Pages

    def headers(self, user: User) -> dict[str, str]:
        """Of a request by a token whose use was just noted: noting it is the whole way's."""
        made = bearer(self.cast.workspace, user)
        ApiToken.objects.filter(user=user).update(last_used_at=datetime.now(UTC))
        return {**made, "Content-Type": "application/json"}

    def task(self, **fields: Any) -> HumanTask:
        workflow = self.cast.workspace.workflows.get(slug="flow")
        assert workflow.live_version is not None
        return make_task(make_run(workflow.live_version), "a", outcomes=OUTCOMES, **fields)

    def started(self, **more: Any) -> Any:
        return self.both(START, **more)

    def both(self, *addresses: str, **more: Any) -> Any:
        """The answer of both ways, which must be one, to one request (with an address for each where two are given)."""
        seen = []
        for app, address in zip((self.short, self.whole), addresses * 2, strict=False):
            before = set(AuditEntry.objects.values_list("pk", flat=True))
            answer = asyncio.run(asked(app, address, **more))
            seen.append((shown(answer), recorded(before), answer))
        assert seen[0][0] == seen[1][0]
        assert seen[0][1] == seen[1][1]
        return seen[0][2]


async def asked(app: Pages, address: str, method: str = "POST", **more: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]  # a plainer scope
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return await client.request(method, address, **more)


def shown(answer: httpx.Response) -> tuple[Any, ...]:
    headers = dict(answer.headers)
    assert (given := headers.pop("x-request-id")), given
    assert int(headers.pop("content-length", len(answer.content))) == len(answer.content)
    body = answer.json() if answer.content else None
    return answer.status_code, headers, without_own(body)


def without_own(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_own(inner) for key, inner in value.items() if key not in OWN}
    return value


def recorded(before: set[int]) -> list[Any]:
    """The audit entries made since, ids aside."""
    made = AuditEntry.objects.exclude(pk__in=before).order_by("pk")
    return [
        (one.actor_name, one.via, one.action, ID.sub("", one.target), one.allowed, without_own(one.detail))
        for one in made
    ]


@pytest.fixture
def house(valkey: str) -> Iterator[House]:
    cast = Cast("demo")
    publish(workflow=cast.workflow(document(transform("a"), name="Flow", input=INPUT)), note="", actor=cast.actor)
    made = House(cast, spied := Spied(), Pages(spied), Pages())
    yield made
    spied.on_each_thread(lambda connection: connection.close())
    spied._threads.shutdown()


@pytest.fixture
def mine(house: House) -> dict[str, str]:
    return house.headers(house.cast.editor)


def statements(house: House, address: str, headers: dict[str, str], body: bytes) -> int:
    """What a request costs when it is answered on this thread."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    raw += [(b"host", b"testserver"), (b"content-length", str(len(body)).encode())]
    scope = {"method": "POST", "path": address, "query_string": b"", "scheme": "http", "headers": raw}
    plain = house.spied.plain(scope)
    assert plain is not None
    with CaptureQueriesContext(connections["default"]) as asked:
        assert isinstance(house.spied._outcome(plain, body), Answer)
    return len(asked)


def revoked(house: House) -> None:
    ApiToken.objects.update(revoked_at=datetime.now(UTC))


def expired(house: House) -> None:
    ApiToken.objects.update(expires_at=datetime.now(UTC))
