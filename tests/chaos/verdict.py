"""After a round: every row of every run, compared with what the drawings say, in a few queries."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db.models import Count, F

from orchestrator.models import Gate, Run, Scope, StepLog, Version
from orchestrator.queries.fsck import breaches
from tests.chaos.drawings import Nested, Wanted
from tests.chaos.journal import read
from tests.chaos.ledger import Tally
from tests.chaos.testimony import contradictions, repeated
from tests.chaos.undone import wrong_undo
from tests.graphs import Expected
from tests.nested_graphs import Happened

#: run -> its version and what must have happened in it
Started = dict[UUID, tuple[Version, Wanted]]
#: node, outcome and error of a final row
Final = tuple[int, str, Any]
MOST_SHOWN = 5
DEATHS = 5


def judge(started: Started, journal: Path, lost_at: dict[int, float]) -> tuple[Tally, list[str]]:
    """The tally of a round, and in words whatever is wrong."""
    evidence = read(journal)
    given_up = _given_up()
    whole = {run_id: one for run_id, one in started.items() if run_id not in given_up}
    acts = {
        (run_id, node)
        for run_id, (version, _) in started.items()
        for node, key in enumerate(version.plan["keys"])
        if {step["key"]: step["kind"] for step in version.document["steps"]}.get(key) == "call"
    }
    wrong = [
        *_wrong_runs(whole),
        *wrong_undo({run: (v, w) for run, (v, w) in whole.items() if isinstance(w, Nested)}, evidence),
        *_wrong_gates(),
        *contradictions(evidence, acts),
    ]
    tally = Tally(
        runs=len(started),
        nested=sum(isinstance(wanted, Nested) for _, wanted in started.values()),
        undone=Run.objects.filter(state="undone").count(),
        given_up=len(given_up),
        executions=evidence.calls,
        cut_off=evidence.cut_off,
        repeated=repeated(evidence),
        acknowledged=len(evidence.acknowledged),
        attempts=StepLog.objects.count(),
        taken_over=StepLog.objects.filter(outcome="U").count(),
        lost=sum(text.startswith("lost") for text in wrong),
        doubled=sum(text.startswith("doubled") for text in wrong),
        delays=list(_delays(lost_at)),
    )
    faults = [f"fsck: {breach.invariant.name}: {breach.run} {breach.what}" for breach in breaches()]
    tally.fsck_faults = len(faults)
    return tally, [*wrong, *faults]


def _given_up() -> set[UUID]:
    """Runs with a step whose worker died five times: the engine gives such a step up, which no drawing foretells."""
    rows = StepLog.objects.filter(outcome="U").values_list("run_id", "node", "scope_id").annotate(n=Count("attempt"))
    spent = {run_id for run_id, _, _, deaths in rows if deaths >= DEATHS}
    failed = StepLog.objects.filter(final=True, error__code="worker_lost").values_list("run_id", flat=True)
    return spent & set(failed)


def _wrong_runs(started: Started) -> Iterator[str]:
    states = dict(Run.objects.values_list("pk", "state"))
    final: dict[UUID, list[Final]] = defaultdict(list)
    rows = StepLog.objects.filter(final=True, node__gte=0).values_list("run_id", "node", "outcome", "error")
    for run_id, node, outcome, error in rows:
        final[run_id].append((node, outcome, error))
    for run_id, (version, wanted) in started.items():
        keys = version.plan["keys"]
        found = _happened(final[run_id], keys, states.get(run_id, "gone"))
        right = _allows(wanted, found) if isinstance(wanted, Expected) else _equals(wanted, found)
        if not right:
            yield f"lost: run {run_id}: {found}, not {wanted}; {_story(run_id, keys)}"


def _happened(rows: list[Final], keys: list[str], state: str) -> Happened:
    found = Happened(state=state)
    for node, outcome, error in rows:
        if error and error["code"] == "branch_failed" and not error.get("details", {}).get("step"):
            found.blocked[keys[node]] += 1
            continue
        found.ran[keys[node]] += 1
        found.failed[keys[node]] += outcome == "F"
    found.failed += Counter()
    return found


def _equals(wanted: Nested, found: Happened) -> bool:
    drawn = wanted.happened
    same = (found.ran, found.failed, found.blocked) == (drawn.ran, drawn.failed, drawn.blocked)
    return same and found.state == wanted.state


def _allows(wanted: Expected, found: Happened) -> bool:
    once = all(times == 1 for times in found.ran.values())
    return once and wanted.allows(
        Expected(frozenset(found.ran), frozenset(found.failed), frozenset(found.blocked), found.state)
    )


def _story(run_id: UUID, keys: list[str]) -> str:
    """Every attempt that did not succeed, with its number and the reason."""
    rows = StepLog.objects.filter(run_id=run_id).exclude(outcome="S").order_by("entry")
    parts = rows.values_list("node", "scope_id", "attempt", "outcome", "final", "error__message")
    return " ".join(
        f"{[*keys, 'end'][max(node, -1 - node)]}{'~' * (node < 0)}@{scope}#{attempt}:{letter}{'!' * final}({code})"
        for node, scope, attempt, letter, final, code in parts
    )


def _wrong_gates() -> Iterator[str]:
    for gate in Gate.objects.all():
        if gate.decided != 1 or gate.ok + gate.skip + gate.fail != gate.size:
            yield f"lost: gate {gate.gate} of {gate.run_id}: {gate.ok}+{gate.skip}+{gate.fail} of {gate.size}"
    for scope in Scope.objects.filter(total__gt=0).exclude(total=F("ok") + F("fail"), next=F("total")):
        yield f"lost: scope {scope} of {scope.run_id}: {scope.ok}+{scope.fail} of {scope.total}, next {scope.next}"


def _delays(lost_at: dict[int, float]) -> Iterator[float]:
    """From the blow at a session until its attempts were taken over.

    Only attempts that were under way at the blow: a process that was stopped goes on afterwards, and what it begins
    then may be lost for another reason, much later.
    """
    rows = StepLog.objects.filter(outcome="U", session_id__in=lost_at)
    for session_id, started_at, finished_at in rows.values_list("session_id", "started_at", "finished_at"):
        struck = lost_at[session_id or 0]
        if started_at is not None and started_at.timestamp() <= struck <= finished_at.timestamp():
            yield finished_at.timestamp() - struck
