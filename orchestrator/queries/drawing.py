"""What readers need of a version's plan, without the rest of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.core.document import FOR_EACH
from orchestrator.core.plan import Arrow, Plan
from orchestrator.core.plan_json import plan_from_json
from orchestrator.models import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """One version's steps and arrows. `keys[node]` is the key of the step that tokens and log rows call `node`."""

    keys: tuple[str, ...]
    nodes: Mapping[str, int]
    kinds: tuple[str, ...]
    arrows: tuple[Arrow, ...]
    #: How often each node is tried.
    attempts: tuple[int, ...]
    #: All containers around each node.
    around: tuple[frozenset[int], ...]
    #: The nodes that are a for-each.
    lists: frozenset[int]
    #: The nodes that run once for each item of some for-each around them.
    in_items: frozenset[int]


def step_of(node: int) -> int:
    """The node of the step itself: that of its undo step is -1 - node."""
    return node if node >= 0 else -1 - node


@lru_cache(maxsize=128)
def drawing_of(version_id: int) -> Drawing:
    """Read one version's drawing; kept in memory, for a version never changes."""
    plan = Version.objects.values_list("plan", flat=True).get(pk=version_id)
    keys = tuple(plan["keys"])
    parents = tuple(step.get("parent") for step in plan["steps"])
    around = tuple(_around(node, parents) for node in range(len(keys)))
    kinds = tuple(step["kind"] for step in plan["steps"])
    lists = frozenset(node for node, kind in enumerate(kinds) if kind == FOR_EACH)
    return Drawing(
        keys=keys,
        nodes={key: node for node, key in enumerate(keys)},
        kinds=kinds,
        arrows=tuple(
            Arrow(source=source, port=port, target=target, slot=slot) for source, port, target, slot in plan["arrows"]
        ),
        attempts=tuple(step["retry"]["attempts"] for step in plan["steps"]),
        around=around,
        lists=lists,
        in_items=frozenset(node for node, outer in enumerate(around) if outer & lists),
    )


def _around(node: int, parents: Sequence[int | None]) -> frozenset[int]:
    found: set[int] = set()
    while (parent := parents[node]) is not None:
        found.add(parent)
        node = parent
    return frozenset(found)


@lru_cache(maxsize=32)
def plan_of(version_id: int) -> Plan:
    """One version's whole plan, for readers who need more than the drawing."""
    return plan_from_json(Version.objects.values_list("plan", flat=True).get(pk=version_id))


def told_by_items(drawing: Drawing, told: Collection[int]) -> frozenset[int]:
    """The steps in for-eaches that have begun, as `told` says: what became of them differs from item to item."""
    return frozenset(node for node in drawing.in_items if drawing.around[node].intersection(told))
