"""Reads what the items of a for-each gave: all of it where that is little, else a stretch at a time (decision 0051)."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.core.item_outputs import ItemOutputs
from orchestrator.core.json_types import MAX_OUTPUT_BYTES, Json
from orchestrator.core.plan import Plan
from orchestrator.engine import statements
from orchestrator.engine.database import Row
from orchestrator.engine.lease import Lease

MOST_WHOLE = MAX_OUTPUT_BYTES
MOST_AT_ONCE = 1_000_000  # bytes of outputs in one stretch, as far as they are more than one
LONGEST = 256  # items in one stretch: a lane's chunk lies in two of them at most
STRETCHES = 32  # kept in memory

Exits = Sequence[tuple[int, str]]
#: (statement, what it asks for) -> rows
Read = Callable[[str, Mapping[str, Any]], Sequence[Row]]


def outputs_of(pool: Any, plan: Plan, lease: Lease, *, block: int, total: int) -> Json:
    """The outputs of the items of a for-each that has ended, in order: a list, or the reference to them.

    Args: `block` is its scope's number, `total` how many items it has.
    """
    exits = tuple((node, plan.steps[node].key) for node in plan.exits_to(plan.bodies[lease.node].end))
    most = MOST_WHOLE - total * _around(exits)
    asked = {
        "most": most,
        "run": lease.run.run_id,
        "nodes": [node for node, _ in exits],
        "first": block + 1,
        "last": block + total,
    }
    with pool.connection() as connection:
        # Below 0 the keys alone are too much, and the statement would give no row whatever there is.
        if most >= 0:
            rows = connection.execute(statements.ITEM_OUTPUTS, asked).fetchall()
            if not rows or rows[-1]["so_far"] <= most:
                return in_order(exits, block + 1, total, rows)
        sizes = connection.execute(statements.ITEM_BYTES, asked).fetchone()
    if sizes["bytes"] is None:
        return in_order(exits, block + 1, total, [])
    return ItemOutputs(
        step=plan.steps[lease.node].key,
        run=str(lease.run.run_id),
        block=block,
        total=total,
        bytes=sizes["bytes"],
        seen=sizes["seen"],
        exits=exits,
    )


def in_order(exits: Exits, first: int, count: int, rows: Sequence[Row]) -> list[Json]:
    """One value for each of `count` items from the scope `first` on.

    It is what the item's only last step gave, else one by key; None where nothing was given.
    """
    texts = ",".join(row["output"] or "null" for row in rows)
    keys = dict(exits)
    outputs: list[Json] = [None] * count
    for row, text in zip(rows, json.loads(f"[{texts}]"), strict=True):
        place = row["scope_id"] - first
        output = ItemOutputs.from_json(text) if row["block"] is not None else text
        if len(exits) == 1:
            outputs[place] = output
        else:
            several = outputs[place] or dict.fromkeys(keys.values())
            assert isinstance(several, dict)
            outputs[place] = {**several, keys[row["node"]]: output}
    return outputs


def _around(exits: Exits) -> int:
    """Bytes of one item's output beside the values themselves: a null where there is none, the keys of several."""
    return 5 if len(exits) == 1 else sum(len(json.dumps(key)) + 6 for _, key in exits) + 2


class Stretches:
    """Reads single items of such references, a stretch of them at a time. Thread-safe."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._held: OrderedDict[tuple[int, str, int], list[Json]] = OrderedDict()
        self._lock = threading.Lock()

    def item(self, outputs: ItemOutputs, index: int) -> Json:
        """What the item at this place gave."""
        with self._lock:
            for key, held in reversed(self._held.items()):
                if key[:2] == (outputs.block, outputs.seen) and 0 <= index - key[2] < len(held):
                    self._held.move_to_end(key)
                    return held[index - key[2]]
        # From a multiple of its length on: whoever goes backwards finds the items before in it, too.
        start = index - index % _longest(outputs)
        found = stretch(self._rows, outputs, start)
        if index - start >= len(found):
            start, found = index, stretch(self._rows, outputs, index)
        with self._lock:
            self._held[outputs.block, outputs.seen, start] = found
            while len(self._held) > STRETCHES:
                self._held.popitem(last=False)
        return found[index - start]

    def _rows(self, statement: str, asked: Mapping[str, Any]) -> Sequence[Row]:
        with self._pool.connection() as connection:
            rows: Sequence[Row] = connection.execute(statement, asked).fetchall()
        return rows


def _longest(outputs: ItemOutputs) -> int:
    """As many items as will fit in a stretch, by their mean size: what does not is read in vain."""
    return min(LONGEST, max(1, MOST_AT_ONCE * outputs.total // outputs.bytes))


def stretch(read: Read, outputs: ItemOutputs, index: int) -> list[Json]:
    """What the item at this place and the next ones gave, as many as are read at once; `read` fetches rows."""
    longest = min(_longest(outputs), outputs.total - index)
    first = outputs.block + 1 + index
    asked = {
        "run": outputs.run,
        "nodes": [node for node, _ in outputs.exits],
        "first": first,
        "last": first + longest - 1,
        "seen": outputs.seen,
        "most": MOST_AT_ONCE,
    }
    rows = read(statements.ITEM_STRETCH, asked)
    is_cut = bool(rows) and len(rows) < rows[0]["there"]
    count = rows[-1]["scope_id"] - first + 1 if is_cut else longest
    return in_order(outputs.exits, first, count, rows)
