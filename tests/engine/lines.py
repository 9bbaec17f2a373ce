"""Two workers at a limited queue, as rows: what they claim, and who stands in line."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import F

from orchestrator.engine import statements
from orchestrator.models import QueueLimit, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.queue_limits import Rate, set_queue_limit
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import beat, rows

A, B = 11, 22


@pytest.fixture(autouse=True)
def sessions(house: House) -> Iterator[None]:
    beat(A)
    with connection.cursor() as cursor:  # another node: a process id belongs to one session of a node
        cursor.execute(statements.BOOT, [B, "00000000-0000-0000-0000-000000000002", "test", 2, ["default"]])
    yield
    # Of the others some do not hold: the tests end steps without what follows them.
    assert [breach for breach in breaches() if breach.invariant.name.startswith("I19")] == []


def limit(house: House, concurrency: int | None = None, rate: Rate | None = None) -> QueueLimit:
    return set_queue_limit(actor=house.actor, queue="default", concurrency=concurrency, rate=rate)


def begin(house: House, *keys: str, lines: str = "", **more: Any) -> UUID:
    return house.start(house.publish(document([step(key) for key in keys], *([lines] if lines else []))), **more)


def go(lease: dict[str, Any], session: int = A, queue: str = "default", **more: Any) -> tuple[str, list[str]]:
    """End a step that one other follows: what became of the token, and the queues to wake."""
    starts = [{"node": lease["node"] + 1, "queue": queue, "timeout": 30}]
    item = {"t": lease["id"], "e": lease["epoch"], "then": "go", "o": "S", "ports": ["out"], "starts": starts, **more}
    answer = rows(statements.ADVANCE, session, json.dumps([item]))
    return answer[0]["status"], next((row["queues"] for row in answer if row["token_id"] is None), [])


def park(lease: dict[str, Any], then: str) -> None:
    """Let a step wait for a moment, or be tried again."""
    item = {"t": lease["id"], "e": lease["epoch"], "then": then, "delay": 0, "waiting": {"kind": "time"}}
    rows(statements.ADVANCE, A, json.dumps([item | ({"o": "F"} if then == "retry" else {})]))
    rows(statements.FIRE_TIMERS, 10)


def give_back(found: QueueLimit) -> bool:
    return bool(rows(statements.GIVE_BACK, found.pk)[0]["opened"])


def settle() -> list[str]:
    return [row["queue"] for row in rows(statements.SETTLE_LINES, None)]


def pass_time(seconds: float) -> None:
    """Let the rate's clock stand as it will in a while."""
    late = timedelta(seconds=seconds)
    QueueLimit.objects.update(used_until=F("used_until") - late, next_at=F("next_at") - late)


def line() -> str:
    return QueueLimit.objects.get().line


def in_line() -> int:
    return Token.objects.filter(state="R", queue_limit_id__isnull=False).count()
