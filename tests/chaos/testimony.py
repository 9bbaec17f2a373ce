"""The step log against what handlers and workers wrote down themselves."""

from collections.abc import Collection, Iterator
from uuid import UUID

from orchestrator.models import StepLog
from tests.chaos.journal import Evidence, Place

#: a run and a node of it
Act = tuple[UUID, int]


def contradictions(evidence: Evidence, acts: Collection[Act], cut: Collection[UUID] = ()) -> Iterator[str]:
    """In words. `acts` are the steps whose handler writes down its calls, as does that of their undo; of `cut` runs
    something was cancelled.

    - An acknowledged success must stand in the log: else it was lost.
    - A logged success must have a handler that came to its end in that very attempt: else nothing was done.
    - A later attempt than the successful one must never begin, and no two attempts may be told of success: else a
      success counted twice. A repeated call of an earlier attempt is no fault: its worker was taken for dead.
    """
    logged = _logged()
    for place, attempts in evidence.acknowledged.items():
        if lost := set(attempts) - logged.get(place, set()):
            yield f"lost: attempt {lost} of {place} was acknowledged, and stands nowhere"
        if sum(len(times) for times in attempts.values()) > 1:
            yield f"doubled: success of {place} was acknowledged more than once: {dict(attempts)}"
    known = {(str(run_id), node) for run_id, node in acts}
    for place, successes in logged.items():
        if len(successes) > 1:
            yield f"doubled: {place} succeeded in attempts {successes}"
        called = evidence.called.get(place, {})
        acted = set(evidence.acted.get(place, {}))
        if (place.run, max(place.node, -1 - place.node)) in known and not successes <= acted:
            yield f"lost: {place} succeeded in attempt {successes}, but its handler ended in {acted} only"
        if late := [attempt for attempt in called if attempt > max(successes)]:
            yield f"doubled: {place} succeeded in attempt {successes}, and began again in {late}"
    for place in unlogged(evidence):
        if UUID(place.run) not in cut:
            yield f"doubled: a handler was called at {place}, which the log does not know"


def unlogged(evidence: Evidence) -> set[Place]:
    """Where handlers were called and the log has no row.

    Where something is cancelled that can be: a for-each drops its lanes with the items that they had in hand.
    """
    return evidence.called.keys() - _all_places()


def repeated(evidence: Evidence) -> int:
    """Calls that came on top of what the log knows as an attempt's own end: crashes had them done again."""
    ended = {
        (Place(str(run), node, scope, generation), attempt)
        for run, node, scope, generation, attempt in StepLog.objects.exclude(outcome="U").values_list(
            "run_id", "node", "scope_id", "generation", "attempt"
        )
    }
    return sum(
        len(times) - ((place, attempt) in ended)
        for place, attempts in evidence.called.items()
        for attempt, times in attempts.items()
    )


def _logged() -> dict[Place, set[int]]:
    found: dict[Place, set[int]] = {}
    rows = StepLog.objects.filter(outcome="S").values_list("run_id", "node", "scope_id", "generation", "attempt")
    for run, node, scope, generation, attempt in rows:
        found.setdefault(Place(str(run), node, scope, generation), set()).add(attempt)
    return found


def _all_places() -> set[Place]:
    rows = StepLog.objects.values_list("run_id", "node", "scope_id", "generation").distinct()
    return {Place(str(run), node, scope, generation) for run, node, scope, generation in rows}
