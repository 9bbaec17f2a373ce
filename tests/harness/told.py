"""Events in the harness's world: published, repeated, rolled back, left to others; and what must hold of them."""

import json
from itertools import count
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from orchestrator.engine import statements
from orchestrator.engine.database import Connection
from tests.harness.faults import Breached
from tests.harness.rows import picture

if TYPE_CHECKING:
    from tests.harness.world import World

TYPE = "told"
KEYS = ("a", "b")
FATES = ("heard", "heard", "repeated", "rolled back", "left")
PUBLISH = "SELECT event, duplicate, reached, more FROM branchline_publish(%s::bigint, %s::jsonb)"
HELD = "SELECT FROM orchestrator_token WHERE state = 'W' AND waiting->>'topic' IS NOT NULL FOR UPDATE"
PENDING = "SELECT id, run_id FROM orchestrator_delivery WHERE state = 'P'"
#: Steps that ended with an event that was accepted before one that the same lane of the run had had.
OUT_OF_ORDER = """
SELECT * FROM (
    SELECT d.run_id, d.node, d.event_id, lag(d.event_id) OVER (
        PARTITION BY d.run_id, d.node, d.generation, d.lane, d.topic ORDER BY s.entry) AS before
    FROM orchestrator_delivery d JOIN orchestrator_steplog s ON s.run_id = d.run_id AND s.node = d.node
        AND s.scope_id = d.scope_id AND s.generation = d.generation AND s.outcome = 'S'
    WHERE d.state = 'D'
) x WHERE x.event_id < x.before
"""
_numbers = count(1)


def publish(world: "World", which: int, fate: str) -> None:
    """A new event. `fate`: its call is "repeated" after a lost reply; it is "rolled back" by a crash, and the sender
    tries again; or it is "left" to others, for all who wait are in somebody's hands.
    """
    event = {"id": f"e{next(_numbers)}", "source": "/world", "type": TYPE, "key": KEYS[which % 2], "data": which // 2}
    arguments = (world.house.workspace.pk, json.dumps(event))
    if fate == "rolled back":
        with world.database.transaction(force_rollback=True):
            world.database.execute(PUBLISH, arguments)
    if fate == "left":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(HELD)
            row = world.ask(PUBLISH, arguments)[0]
    else:
        row = world.ask(PUBLISH, arguments)[0]
    if row["duplicate"]:
        raise Breached("I12 what was not accepted may come again", f"{event}: {row}")
    if fate == "repeated":
        _again(world, arguments, row["event"])


def _again(world: "World", arguments: Any, number: int) -> None:
    before = picture(world.database)
    row = world.ask(PUBLISH, arguments)[0]
    if (row["event"], row["duplicate"]) != (number, True) or picture(world.database) != before:
        raise Breached("I12 a repeated event changes nothing", f"{arguments} was {number}: {row}")


def deliver(world: "World", limit: int) -> None:
    """What a publisher does in a further transaction: so many of each topic."""
    for row in world.ask(statements.PENDING_TOPICS, (500,)):
        world.ask(statements.DELIVER, (row["topic"], limit))


def in_order(database: Connection) -> None:
    """Raise Breached where a lane had events of one key in another order than they were accepted in."""
    if found := database.execute(OUT_OF_ORDER).fetchall():
        raise Breached("I13 events have their effect in order", f"{found[:3]}")


def all_ended(database: Connection) -> None:
    """Raise Breached when a delivery is pending although everything was worked off."""
    if found := database.execute(PENDING).fetchall():
        raise Breached("I14 deliveries end", f"{found[:3]}")
