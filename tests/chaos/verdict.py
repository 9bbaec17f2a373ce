"""After a round: every row of every run, compared with what the drawings say, in a few queries."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.db.models import Count, F

from orchestrator.models import Gate, Run, Scope, StepLog, Version
from orchestrator.queries.fsck import breaches
from tests.chaos.controlled import travelled, wrong_cancel, wrong_locks
from tests.chaos.drawings import Nested, Wanted
from tests.chaos.families import Member, families, members
from tests.chaos.journal import read
from tests.chaos.ledger import Tally
from tests.chaos.nemesis import Nemesis
from tests.chaos.testimony import contradictions, repeated, unlogged
from tests.chaos.undone import wrong_undo
from tests.graphs import Expected
from tests.nested_graphs import Happened

#: run -> its version and what must have happened in it
Started = dict[UUID, tuple[Version, Wanted]]
MOST_SHOWN = 5
DEATHS = 5


@dataclass(frozen=True, slots=True, order=True)
class Final:
    """A final row of the log."""

    run_id: UUID
    node: int
    scope_id: int
    generation: int
    attempt: int
    outcome: str


def judge(
    started: Started, journal: Path, nemesis: Nemesis, cancelled: set[UUID], retried: set[UUID]
) -> tuple[Tally, list[str]]:
    """The tally of a round, and in words whatever is wrong."""
    evidence = read(journal)
    everyone = members()
    family = families(everyone)
    given_up = {everyone[run_id].root for run_id in _given_up()}
    whole = {run_id: wanted for run_id, (_, wanted) in started.items() if run_id not in given_up | cancelled}
    loose = _loose(started, everyone)
    acts = {(member.run_id, node) for member in everyone.values() for node in member.acting}
    wrong = [
        *_wrong_runs(whole, family, retried),
        *wrong_undo({run: one for run, one in whole.items() if isinstance(one, Nested)}, family, evidence),
        *_wrong_gates(loose, {one.run_id for root in retried for one in family[root]}),
        *wrong_cancel(cancelled, family),
        *wrong_locks(everyone, evidence),
        *contradictions(evidence, acts, loose),
    ]
    tally = Tally(
        runs=len(started),
        nested=sum(isinstance(wanted, Nested) for _, wanted in started.values()),
        children=len(everyone) - len(started),
        undone=Run.objects.filter(state="undone", root_run__isnull=True).count(),
        cancelled=len(cancelled),
        travelled=travelled(cancelled),
        retried=len(retried),
        locked=Scope.objects.filter(lock__isnull=False).count(),
        given_up=len(given_up),
        executions=evidence.calls,
        cut_off=evidence.cut_off,
        repeated=repeated(evidence),
        unlogged=len(unlogged(evidence)),
        acknowledged=len(evidence.acknowledged),
        attempts=StepLog.objects.count(),
        taken_over=StepLog.objects.filter(outcome="U").count(),
        lost=sum(text.startswith("lost") for text in wrong),
        doubled=sum(text.startswith("doubled") for text in wrong),
    )
    for delay, across in _delays(nemesis):
        (tally.delays_across_restarts if across else tally.delays).append(delay)
    faults = [f"fsck: {breach.invariant.name}: {breach.run} {breach.what}" for breach in breaches()]
    tally.fsck_faults = len(faults)
    return tally, [*wrong, *faults]


def _given_up() -> set[UUID]:
    """Runs with a step whose worker died five times: the engine gives such a step up, which no drawing foretells."""
    rows = StepLog.objects.filter(outcome="U").values_list("run_id", "node", "scope_id").annotate(n=Count("attempt"))
    spent = {run_id for run_id, _, _, deaths in rows if deaths >= DEATHS}
    failed = StepLog.objects.filter(final=True, error__code="worker_lost").values_list("run_id", flat=True)
    return spent & set(failed)


def _wrong_runs(whole: dict[UUID, Wanted], family: dict[UUID, list[Member]], retried: set[UUID]) -> Iterator[str]:
    final: dict[UUID, list[Final]] = defaultdict(list)
    fields = ("run_id", "node", "scope_id", "generation", "attempt", "outcome")
    # A step that was cancelled, or has not been reached again after a retry, did not happen.
    for row in StepLog.objects.filter(final=True, node__gte=0).exclude(outcome="K").values_list(*fields):
        final[row[0]].append(Final(*row))
    for run_id, wanted in whole.items():
        if run_id not in family:
            yield f"lost: run {run_id} is gone"
            continue
        again = run_id in retried
        found = _happened(family[run_id], final, last_only=again)
        if not _is_right(wanted, found, again=again):
            yield f"lost: run {run_id}{' (retried)' * again}: {found}, not {wanted}; {_story(family[run_id])}"


def _happened(family: list[Member], final: dict[UUID, list[Final]], *, last_only: bool) -> Happened:
    """`last_only`: of several ends of one step, as a retry leaves them, the one that stands."""
    found = Happened(state=next(member.state for member in family if member.at is None))
    for member in family:
        if last_only and member.state == "cancelled":
            continue  # its for-each had failed; the retry began another
        rows = sorted(final[member.run_id])
        if last_only:
            rows = list({(row.node, row.scope_id): row for row in rows}.values())
        for row in rows:
            if row.outcome == "R":
                continue
            key = member.key(row.node)
            if row.outcome == "F" and row.attempt < 1:
                found.blocked[key] += 1  # a join that could not start
                continue
            found.ran[key] += 1
            found.failed[key] += row.outcome == "F"
    found.failed += Counter()
    return found


def _is_right(wanted: Wanted, found: Happened, *, again: bool) -> bool:
    if isinstance(wanted, Expected):
        once = all(times == 1 for times in found.ran.values())
        ran, failed, blocked = (frozenset(one) for one in (found.ran, found.failed, found.blocked))
        return once and wanted.allows(Expected(ran, failed, blocked, found.state))
    if again and wanted.mended is None:
        return found.state in ("succeeded", "failed")
    drawn = wanted.mended if again and wanted.mended is not None else wanted.happened
    state = wanted.state in ("", found.state)
    same = all(
        _sure(getattr(found, name), wanted.unsure) == _sure(getattr(drawn, name), wanted.unsure)
        for name in ("ran", "failed", "blocked")
    )
    late = any(found.ran[key] for cut, keys in wanted.spared if found.ran[cut] > found.failed[cut] for key in keys)
    return same and state and not late


def _sure(counts: Counter[str], unsure: frozenset[str]) -> dict[str, int]:
    return {key: times for key, times in counts.items() if key not in unsure}


def _story(family: list[Member]) -> str:
    """Every attempt that did not succeed, with its number and the reason."""
    by_id = {member.run_id: member for member in family}
    rows = StepLog.objects.filter(run_id__in=by_id).exclude(outcome="S").order_by("entry")
    parts = rows.values_list("run_id", "node", "scope_id", "attempt", "outcome", "final", "error__message")
    told = [
        f"{by_id[run].key(node) if max(node, -1 - node) < len(by_id[run].keys) else 'end'}{'~' * (node < 0)}@{scope}"
        f"#{attempt}:{letter}{'!' * final}({code})"
        for run, node, scope, attempt, letter, final, code in parts
    ]
    return " ".join([*(f"{member.run_id}={member.state}" for member in family), *told])


def _loose(started: Started, everyone: dict[UUID, Member]) -> set[UUID]:
    """Runs whose joins need not have got all their answers: they, or something in them, were cancelled."""
    cutting = {run_id for run_id, (_, wanted) in started.items() if isinstance(wanted, Nested) and wanted.spared}
    return {one.run_id for one in everyone.values() if one.state == "cancelled" or one.root in cutting}


def _wrong_gates(loose: set[UUID], retried: set[UUID]) -> Iterator[str]:
    for gate in Gate.objects.exclude(run_id__in=loose):
        # A retry counts the arrivals anew: none yet at the end of a run, which then comes without a signal.
        untouched = (gate.verdict, gate.ok, gate.skip, gate.fail) == ("O", 0, 0, 0) and gate.run_id in retried
        if not untouched and (gate.decided != 1 or gate.ok + gate.skip + gate.fail != gate.size):
            yield f"lost: gate {gate.gate} of {gate.run_id}: {gate.ok}+{gate.skip}+{gate.fail} of {gate.size}"
    uneven = Scope.objects.filter(total__gt=0).exclude(total=F("ok") + F("fail"), next=F("total"))
    for scope in uneven.exclude(run_id__in=loose):
        yield f"lost: scope {scope} of {scope.run_id}: {scope.ok}+{scope.fail} of {scope.total}, next {scope.next}"


def _delays(nemesis: Nemesis) -> Iterator[tuple[float, bool]]:
    """From a process's death until its attempts were taken over, and whether PostgreSQL was away in between.

    Only attempts that were under way when it died.
    """
    lost_at = nemesis.lost_at
    rows = StepLog.objects.filter(outcome="U", session_id__in=lost_at)
    for session_id, started_at, finished_at in rows.values_list("session_id", "started_at", "finished_at"):
        died, ended = lost_at[session_id or 0], finished_at.timestamp()
        if started_at is not None and started_at.timestamp() <= died <= ended:
            yield ended - died, any(down <= ended and died <= up for down, up in nemesis.away)
