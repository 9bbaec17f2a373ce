"""What a token inside containers must know of what is around it. Blocks never change, so they are kept."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from orchestrator.core.item_outputs import ItemOutputs
from orchestrator.core.json_types import Json
from orchestrator.core.plan import Plan
from orchestrator.engine import statements
from orchestrator.engine.item_outputs import Stretches

BLOCK = 131_072  # numbers of one container that was entered; see branchline_block
CAPACITY = 2_000
LISTS = 20  # lists of items kept in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One entered container: where it stands, and the items it goes through."""

    id: int
    parent: int
    node: int
    total: int
    items: Json
    items_ref: UUID | None


class Scopes:
    """Reads blocks and items at their first use. Thread-safe."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._blocks: OrderedDict[int, Block] = OrderedDict()
        self._lists: OrderedDict[int, list[Json] | ItemOutputs] = OrderedDict()
        self._stretches = Stretches(pool)
        self._lock = threading.Lock()

    def around(self, scope_id: int) -> Iterator[tuple[int, Block]]:
        """The scopes that a token of `scope_id` stands in, inner first; nothing on the top level."""
        while scope_id:
            block = self.block(scope_id)
            yield scope_id, block
            scope_id = block.parent

    def places(self, scope_id: int) -> dict[int | None, int]:
        """Container (None: the top level) -> the scope in which its steps are read from here."""
        found: dict[int | None, int] = {None: 0}
        return found | {block.node: inner for inner, block in self.around(scope_id)}

    def item(self, scope_id: int, block: Block) -> tuple[int, Json]:
        """The place (from 0) and value of the item that a for-each's scope stands for."""
        index = scope_id - block.id - 1
        items = self.items(block)
        return index, self._stretches.item(items, index) if isinstance(items, ItemOutputs) else items[index]

    def items(self, block: Block) -> list[Json] | ItemOutputs:
        """All items of a for-each, or the outputs that it goes through."""
        with self._lock:
            if block.id in self._lists:
                self._lists.move_to_end(block.id)
                return self._lists[block.id]
        found = block.items if block.items_ref is None else self._payload(block.items_ref)
        assert isinstance(found, list | ItemOutputs)
        with self._lock:
            self._lists[block.id] = found
            while len(self._lists) > LISTS:
                self._lists.popitem(last=False)
        return found

    def block(self, scope_id: int) -> Block:
        """The block of a scope."""
        block_id = scope_id & -BLOCK
        with self._lock:
            if block_id in self._blocks:
                self._blocks.move_to_end(block_id)
                return self._blocks[block_id]
        with self._pool.connection() as connection:
            row = connection.execute(statements.BLOCK, (block_id,)).fetchone()
        block = Block(**row)
        with self._lock:
            self._blocks[block_id] = block
            while len(self._blocks) > CAPACITY:
                self._blocks.popitem(last=False)
        return block

    def _payload(self, reference: UUID) -> Json:
        with self._pool.connection() as connection:
            row = connection.execute(statements.PAYLOAD, (reference,)).fetchone()
        body: Json = row["body"]
        return body if row["block"] is None else ItemOutputs.from_json(body)


def nodes_inside(plan: Plan, container: int) -> tuple[int, ...]:
    """The steps that lie directly in a container."""
    return tuple(step.node for step in plan.steps if step.parent == container)
