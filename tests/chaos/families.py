"""The runs that one start has led to: itself and the runs of its sub-workflows, at all depths."""

from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

from orchestrator.models import Run, Version


@dataclass(frozen=True, slots=True)
class Member:
    """One run. `at` is its parent's run, node and scope; `undoes` says that it undoes itself when it fails."""

    run_id: UUID
    root: UUID
    state: str
    keys: tuple[str, ...]
    acting: frozenset[int]
    undoes: bool
    at: tuple[UUID, int, int] | None

    def key(self, node: int) -> str:
        """The step at this node, or the one that it undoes."""
        return self.keys[max(node, -1 - node)]


def members() -> dict[UUID, Member]:
    """All runs there are."""
    used = Run.objects.values("version_id").distinct()
    versions = {version.pk: version for version in Version.objects.filter(pk__in=used)}
    facts = {pk: (tuple(version.plan["keys"]), _acting(version), _undoes(version)) for pk, version in versions.items()}
    rows = Run.objects.values_list(
        "pk", "root_run_id", "state", "version_id", "parent_run_id", "parent_node", "parent_scope"
    )
    found = {}
    for run_id, root, state, version_id, parent, node, scope in rows:
        keys, acting, undoes = facts[version_id]
        at = None if parent is None or node is None or scope is None else (parent, node, scope)
        found[run_id] = Member(run_id, root or run_id, state, keys, acting, undoes, at)
    return found


def families(all_members: dict[UUID, Member]) -> dict[UUID, list[Member]]:
    """By the run at the top."""
    found: dict[UUID, list[Member]] = defaultdict(list)
    for member in all_members.values():
        found[member.root].append(member)
    return found


def _acting(version: Version) -> frozenset[int]:
    calls = {step["key"] for step in version.document["steps"] if step["kind"] == "call"}
    return frozenset(node for node, key in enumerate(version.plan["keys"]) if key in calls)


def _undoes(version: Version) -> bool:
    return bool(version.document.get("settings", {}).get("on_failure") == "undo")
