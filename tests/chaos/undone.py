"""I16 after a round: what happened is undone, nothing else, and in reverse causal order by the handlers' own clock."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from uuid import UUID

from orchestrator.models import StepLog, UndoItem, Version
from tests.chaos.drawings import Nested
from tests.chaos.journal import Evidence, Place

SETTLED = {"undone", "not_needed", "irreversible"}


def wrong_undo(started: Mapping[UUID, tuple[Version, Nested]], evidence: Evidence) -> Iterator[str]:
    """In words. A step of unknown outcome that failed later may be undone too: it may have acted."""
    done: dict[UUID, Counter[int]] = defaultdict(Counter)
    for run_id, node in StepLog.objects.filter(node__lt=0, outcome="S").values_list("run_id", "node"):
        done[run_id][-1 - node] += 1
    doubtful = set(StepLog.objects.filter(outcome="U", node__gte=0).values_list("run_id", "node"))
    for run_id, (version, wanted) in started.items():
        keys = version.plan["keys"]
        found = Counter({keys[node]: times for node, times in done[run_id].items()})
        if missing := wanted.undone - found:
            yield f"lost: the undo of {dict(missing)} in run {run_id}"
        unsure = {keys[node] for run, node in doubtful if run == run_id and node < len(keys)}
        if too_many := {key for key in found - wanted.undone if key not in unsure}:
            yield f"doubled: {too_many} of run {run_id} undone more often than it happened"
    yield from _wrong_order(set(started), evidence)


def _wrong_order(run_ids: set[UUID], evidence: Evidence) -> Iterator[str]:
    items = {(item.run_id, item.entry): item for item in UndoItem.objects.filter(run_id__in=run_ids)}
    rows = StepLog.objects.filter(node__lt=0, outcome="S")
    succeeded = {
        Place(str(run), node, scope, generation): attempt
        for run, node, scope, generation, attempt in rows.values_list(
            "run_id", "node", "scope_id", "generation", "attempt"
        )
    }
    for item in items.values():
        if item.state not in SETTLED or item.awaits:
            yield f"lost: {item} is {item.state}, awaits {item.awaits}"
            continue
        later = _place(item)
        for entry in item.releases if item.state == "undone" else ():
            earlier = _place(items[item.run_id, entry])
            ended = evidence.acted[later][succeeded[later]]
            begun = [time for times in evidence.called[earlier].values() for time in times]
            if not ended or not begun or min(begun) < min(ended):
                yield f"doubled: the undo of {earlier} began before that of {later} was done"


def _place(item: UndoItem) -> Place:
    return Place(str(item.run_id), -1 - item.node, item.scope_id, item.generation)
