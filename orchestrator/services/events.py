"""The narrow door for outside events: accept one, and hand it to the steps that wait for it."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected

from orchestrator.core.json_text import check_json
from orchestrator.core.json_types import Json
from orchestrator.engine import dispatch, metrics, statements
from orchestrator.engine.prepared import Seen, fetch_if_still, fetch_one
from orchestrator.policy import Action, Actor, require

log = structlog.get_logger(__name__)
#: Deliveries in one transaction after the first, and how many of those the publisher makes itself.
BATCH, ROUNDS = 500, 20
TRIES = 3
_FUNCTION = "branchline_publish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """An accepted event: its number here, whether it had come before (then nothing was done), how many waits met it."""

    number: int
    duplicate: bool
    reached: int


def publish_event(*, actor: Actor, event: dict[str, Json], seen: Seen | None = None) -> Published:
    """Accept a checked event (id, source, type, key, subject, time, data, extra), once for its source and id.

    `seen`: what the actor's right rests on, read before: it is accepted only if that is still so.

    Raises Forbidden, JsonInvalid; SeenOtherwise, with nothing done.
    """
    require(actor, Action.EVENT_EMIT)
    text = check_json({**event, "user": actor.user_id})
    began = time.monotonic()
    number, duplicate, reached, queues, runs, more, ended = _published(actor.workspace_id, text, seen)
    metrics.EVENTS.labels("duplicate" if duplicate else "accepted").inc()
    metrics.EVENTS_DELIVERED.inc(len(runs))
    if ended:
        metrics.attempt_ended("wait_event", "succeeded", time.monotonic() - began)
    if not duplicate:
        _tell(actor.workspace_id, queues, runs)
    if more:
        topic = f"{actor.workspace_id}/{event['type']}#{event.get('key') or ''}"
        transaction.on_commit(partial(_deliver, actor.workspace_id, topic))
    return Published(number=number, duplicate=duplicate, reached=reached)


def _published(workspace_id: int, text: str, seen: Seen | None) -> tuple[Any, ...]:
    for _ in range(TRIES - 1):
        try:
            return _publish(workspace_id, text, seen)
        except OperationalError as error:
            # With a run that ends right now: nothing was accepted yet. Inside a transaction of the caller's it is lost.
            if not isinstance(error.__cause__, DeadlockDetected) or connection.in_atomic_block:
                raise
    return _publish(workspace_id, text, seen)


def _publish(workspace_id: int, text: str, seen: Seen | None) -> tuple[Any, ...]:
    if seen is not None:
        return fetch_if_still(seen, _FUNCTION, ("bigint", "jsonb"), (workspace_id, text))
    row = fetch_one(f"SELECT * FROM {_FUNCTION}(%s::bigint, %s::jsonb)", (workspace_id, text))
    assert row is not None
    return row


def _deliver(workspace_id: int, topic: str) -> None:
    """What is left of one topic, as far as it can be done now; the keeper does the rest."""
    for _ in range(ROUNDS):
        try:
            row = fetch_one(statements.DELIVER, (topic, BATCH))
        except OperationalError as error:  # a deadlock, or the database is away: the event is accepted all the same
            log.warning("an event is left to the keeper", topic=topic, error=str(error).strip()[:200])
            return
        assert row is not None
        queues, runs, more = row
        metrics.EVENTS_DELIVERED.inc(len(runs))
        _tell(workspace_id, queues, runs)
        if not more or not runs:
            break


def _tell(workspace_id: int, queues: Sequence[str], runs: Sequence[UUID]) -> None:
    for queue, count in Counter(queues).items():
        transaction.on_commit(partial(dispatch.wake, queue, count))
    for run_id in dict.fromkeys(runs) or (None,):
        transaction.on_commit(partial(dispatch.announce, workspace_id, run_id, events=True))
