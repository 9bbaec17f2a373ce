"""After a round: cancelling has reached all runs below; scopes of one lock took turns by the handlers' own clock."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from uuid import UUID

from orchestrator.models import RunRecord, Scope, StepLog
from orchestrator.models.scope import BLOCK
from tests.chaos.families import Member
from tests.chaos.journal import Evidence, Place

ENDS = {"succeeded", "failed", "cancelled", "undone", "undo_stuck"}


def wrong_cancel(cancelled: set[UUID], family: dict[UUID, list[Member]]) -> Iterator[str]:
    """In words. A record gets its number under the lock of its run, a child's start and its parent's under both."""
    records: dict[UUID, dict[str, int]] = defaultdict(dict)
    for run_id, kind, pk in RunRecord.objects.order_by("pk").values_list("run_id", "kind", "pk"):
        records[run_id]["ended" if kind in ENDS else kind] = pk
    for run_id in cancelled:
        ended = records[run_id]["ended"]
        for member in family.get(run_id, ()):
            mine = records[member.run_id]
            if member.at is None and member.state != "cancelled":
                yield f"lost: the cancellation of run {run_id}, which is {member.state}"
            elif member.at is not None and mine["started"] > _reached(records[member.at[0]]):
                yield f"doubled: run {member.run_id} was started below run {run_id}, which had been cancelled"
            elif mine["ended"] > ended:
                yield f"lost: run {member.run_id} outlived run {run_id} above it, which had been cancelled"
            elif "cancel_requested" in mine and member.state != "cancelled":
                yield f"lost: the cancellation of run {member.run_id}, which is {member.state}"


def _reached(above: dict[str, int]) -> int:
    """When a cancellation came to a run, by its records. On its way down what lies deeper may still begin."""
    return above.get("cancel_requested", above["ended"])


def travelled(cancelled: set[UUID]) -> int:
    """Runs that heard of the cancellation of a run above."""
    heard = RunRecord.objects.filter(kind="cancel_requested", run__root_run__in=cancelled)
    return heard.values("run_id").distinct().count()


def wrong_locks(everyone: dict[UUID, Member], evidence: Evidence) -> Iterator[str]:
    """In words. What a scope did lies between the first call and the last end of handlers whose success counts."""
    holders: dict[tuple[UUID, str], list[int]] = defaultdict(list)
    for scope in Scope.objects.filter(lock__isnull=False):
        holders[scope.run_id, scope.lock or ""].append(scope.pk)
    spans = _spans({run_id for run_id, _ in holders}, everyone, evidence)
    for (run_id, lock), blocks in holders.items():
        found = sorted(spans[run_id, block] for block in blocks if (run_id, block) in spans)
        for before, after in itertools.pairwise(found):
            if before[1] > after[0]:
                yield f'doubled: two scopes of lock "{lock}" were open at once in run {run_id}: {before}, {after}'


def _spans(
    run_ids: set[UUID], everyone: dict[UUID, Member], evidence: Evidence
) -> dict[tuple[UUID, int], tuple[int, int]]:
    """Of each block of scopes, with what is inside of it: also the runs of its sub-workflows."""
    around = dict(Scope.objects.values_list("pk", "parent"))
    found: dict[tuple[UUID, int], tuple[int, int]] = {}
    rows = StepLog.objects.filter(outcome="S", node__gte=0)
    for run, node, scope, generation, attempt in rows.values_list(
        "run_id", "node", "scope_id", "generation", "attempt"
    ):
        place = Place(str(run), node, scope, generation)
        called, acted = evidence.called.get(place, {}), evidence.acted.get(place, {})
        if attempt not in acted:
            continue  # no handler of ours
        span = min(called[attempt]), min(acted[attempt])
        for where in _places_around(run, scope, around, everyone):
            before = found.get(where, span)
            found[where] = min(before[0], span[0]), max(before[1], span[1])
    return {where: span for where, span in found.items() if where[0] in run_ids}


def _places_around(
    run_id: UUID, scope_id: int, around: dict[int, int], everyone: dict[UUID, Member]
) -> Iterator[tuple[UUID, int]]:
    while True:
        while scope_id:
            block = scope_id & -BLOCK
            yield run_id, block
            scope_id = around[block]
        at = everyone[run_id].at
        if at is None:
            return
        run_id, _, scope_id = at
