"""After a round: every row of every run, compared with what the drawings say, in a few queries."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from django.db.models import Count

from orchestrator.models import Gate, Run, StepLog, Version
from orchestrator.queries.fsck import breaches
from tests.chaos.ledger import Tally
from tests.graphs import Expected

#: run -> its version and what must have happened in it
Started = dict[UUID, tuple[Version, Expected]]
MOST_SHOWN = 5
DEATHS = 5


def judge(started: Started, journal: Path, lost_at: dict[int, float]) -> tuple[Tally, list[str]]:
    """The tally of a round, and in words whatever is wrong."""
    given_up = _given_up()
    whole = {run_id: one for run_id, one in started.items() if run_id not in given_up}
    wrong = [*_wrong_runs(whole), *_wrong_gates(), *_wrong_executions(whole, journal)]
    tally = Tally(
        runs=len(started),
        given_up=len(given_up),
        executions=sum(_executions(journal).values()),
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
    rows = StepLog.objects.filter(outcome="U").values_list("run_id", "node").annotate(times=Count("attempt"))
    deaths = {(run_id, node): times for run_id, node, times in rows}
    failed = StepLog.objects.filter(final=True, error__code="worker_lost").values_list("run_id", "node")
    return {run_id for run_id, node in failed if deaths.get((run_id, node), 0) >= DEATHS}


def _wrong_runs(started: Started) -> Iterator[str]:
    states = dict(Run.objects.values_list("pk", "state"))
    final: dict[UUID, list[tuple[int, str, str]]] = defaultdict(list)
    rows = StepLog.objects.filter(final=True).values_list("run_id", "node", "outcome", "error__code")
    for run_id, node, outcome, code in rows:
        final[run_id].append((node, outcome, code))
    for run_id, (version, wanted) in started.items():
        keys = version.plan["keys"]
        blocked = {keys[node] for node, _, code in final[run_id] if code == "branch_failed"}
        ran = [keys[node] for node, _, code in final[run_id] if code != "branch_failed"]
        failed = {keys[node] for node, outcome, _ in final[run_id] if outcome == "F"} - blocked
        found = Expected(frozenset(ran), frozenset(failed), frozenset(blocked), states.get(run_id, "gone"))
        if twice := [key for key, times in Counter(ran).items() if times > 1]:
            yield f"doubled: {twice} of run {run_id} ended more than once"
        if not wanted.allows(found):
            yield f"lost: run {run_id}: {found}, not {wanted}; {_story(run_id, keys)}"


def _story(run_id: UUID, keys: list[str]) -> str:
    """Every attempt that did not succeed, with its number and the reason."""
    rows = StepLog.objects.filter(run_id=run_id).exclude(outcome="S").order_by("entry")
    parts = rows.values_list("node", "attempt", "outcome", "final", "error__message")
    return " ".join(
        f"{keys[node]}#{attempt}:{letter}{'!' * final}({code})" for node, attempt, letter, final, code in parts
    )


def _wrong_gates() -> Iterator[str]:
    for gate in Gate.objects.all():
        if gate.decided != 1 or gate.ok + gate.skip + gate.fail != gate.size:
            yield f"lost: gate {gate.gate} of {gate.run_id}: {gate.ok}+{gate.skip}+{gate.fail} of {gate.size}"


def _wrong_executions(started: Started, journal: Path) -> Iterator[str]:
    """No handler was called for a step that was not to run, and none that ended was never called."""
    called: dict[str, set[str]] = defaultdict(set)
    for name, key, _ in _executions(journal):
        called[name].add(key)
    for run_id, (version, wanted) in started.items():
        acts = {step["key"] for step in version.document["steps"] if step["kind"] == "call"}
        if too_many := called[str(run_id)] - wanted.ran - wanted.unsure:
            yield f"doubled: handlers of {too_many} were called in run {run_id}, which never reaches them"
        if missing := (wanted.ran & acts) - wanted.unsure - called[str(run_id)]:
            yield f"lost: {missing} of run {run_id} ended but no handler was called"


def _executions(journal: Path) -> Counter[tuple[str, str, str]]:
    """How often each attempt's handler was called; a line that a kill cut short is no line."""
    found: Counter[tuple[str, str, str]] = Counter()
    for path in journal.glob("*.journal"):
        for line in path.read_text().splitlines(keepends=True):
            parts = tuple(line.split())
            if line.endswith("\n") and len(parts) == 3:
                found[parts] += 1
    return found


def _delays(lost_at: dict[int, float]) -> Iterator[float]:
    rows = StepLog.objects.filter(outcome="U", session_id__in=lost_at).values_list("session_id", "finished_at")
    for session_id, finished_at in rows:
        delay = finished_at.timestamp() - lost_at[session_id or 0]
        if delay >= 0:
            yield delay
