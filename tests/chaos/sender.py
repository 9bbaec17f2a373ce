"""Somebody outside who sends events during the blows, each again until it is acknowledged, and notes which were."""

import json
import threading
from collections import Counter, deque
from collections.abc import Iterator

import psycopg

from orchestrator.engine import dispatch, statements
from orchestrator.engine.database import Connection, connect
from orchestrator.models import Delivery, Event
from tests.harness.told import OUT_OF_ORDER
from tests.waiting import wait_until

TYPE, SOURCE = "chaos.told", "/chaos"
PUBLISH = "SELECT event, duplicate, queues, more FROM branchline_publish(%s::bigint, %s::jsonb)"
#: Keys that somebody waits for right now.
WAITED_FOR = """
SELECT DISTINCT split_part(waiting->>'topic', '#', 2) AS key FROM orchestrator_token
WHERE state = 'W' AND (waiting->>'topic') IS NOT NULL LIMIT 40
"""
PACE = 0.1  # seconds between two looks at who waits: a person's pace, not a wait for something
LEFT_TO_OTHERS = 3  # of so many events the sender goes away after the first transaction of one: the keeper has the rest


class Sender:
    """`early(key)` has an event sent before anybody may wait for it. `acknowledged`: id -> the number it was given."""

    def __init__(self, workspace_id: int) -> None:
        self.acknowledged: dict[str, int] = {}
        self.repeated = 0
        self._workspace_id = workspace_id
        self._early: deque[str] = deque()
        self._sent: Counter[str] = Counter()
        self._unsure: dict[str, object] | None = None
        self._connection: Connection | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def __enter__(self) -> "Sender":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(30)

    def early(self, key: str) -> None:
        self._early.append(key)

    def _run(self) -> None:
        while not self._stopping.wait(PACE):
            try:
                self._look()
            except (
                psycopg.Error
            ):  # it falls over: whether the last event was accepted is not known, so it is sent again
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
        if self._connection is not None:
            self._connection.close()

    def _look(self) -> None:
        if self._connection is None:
            self._connection = connect("sender")
        if self._unsure is not None:
            self.repeated += 1
            self._send(self._connection, self._unsure)
        keys = [self._early.popleft() for _ in range(len(self._early))]
        keys += [row["key"] for row in self._connection.execute(WAITED_FOR).fetchall()]
        for key in keys:
            self._sent[key] += 1
            name, number = f"{key}:{self._sent[key]}", self._sent[key]
            self._send(self._connection, {"id": name, "source": SOURCE, "type": TYPE, "key": key, "data": number})

    def _send(self, database: Connection, event: dict[str, object]) -> None:
        self._unsure = event
        row = database.execute(PUBLISH, (self._workspace_id, json.dumps(event))).fetchall()[0]
        self.acknowledged[str(event["id"])] = row["event"]
        self._unsure = None
        for queue in set(row["queues"]):
            dispatch.wake(queue)
        if row["more"] and len(self.acknowledged) % LEFT_TO_OTHERS:
            database.execute(statements.DELIVER, (f"{self._workspace_id}/{TYPE}#{event['key']}", 500)).fetchall()


def wrong_events(sender: Sender) -> Iterator[str]:
    """What was acknowledged is there under its number, and had its effect in order; nothing is pending."""
    kept = dict(Event.objects.filter(source=SOURCE).values_list("event_id", "pk"))
    for name, number in sender.acknowledged.items():
        if name not in kept:
            yield f"lost: event {name} was acknowledged and is gone"
        elif kept[name] != number:
            yield f"doubled: event {name} was acknowledged as {number}, is {kept[name]}"
    for delivery in Delivery.objects.raw(
        f"SELECT d.* FROM orchestrator_delivery d JOIN ({OUT_OF_ORDER}) o ON"
        " o.run_id = d.run_id AND o.event_id = d.event_id AND o.node = d.node"
    ):
        yield f"lost: event {delivery.event_id} had its effect out of order in {delivery.run_id}"
    yield from (f"lost: {delivery} is still pending" for delivery in _left())


def _left() -> list[Delivery]:
    pending = Delivery.objects.filter(state="P")
    try:
        wait_until(lambda: not pending.exists(), 10, "the keeper to end all deliveries")
    except AssertionError:
        return list(pending)
    return []
