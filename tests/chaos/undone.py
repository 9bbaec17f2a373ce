"""I16 after a round: what happened is undone, nothing else, and in reverse causal order by the handlers' own clock."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from orchestrator.models import StepLog, UndoItem
from tests.chaos.drawings import Nested
from tests.chaos.families import Member
from tests.chaos.journal import Evidence, Place

SETTLED = {"undone", "not_needed", "irreversible"}


def wrong_undo(wanted: Mapping[UUID, Nested], family: Mapping[UUID, list[Member]], evidence: Evidence) -> Iterator[str]:
    """In words. A step of unknown outcome that failed later may be undone too: it may have acted."""
    everyone = {one.run_id: one for root in wanted for one in family[root]}
    done: dict[UUID, Counter[str]] = defaultdict(Counter)
    for run_id, node in StepLog.objects.filter(node__lt=0, outcome="S").values_list("run_id", "node"):
        if run_id in everyone:
            done[everyone[run_id].root][everyone[run_id].key(node)] += 1
    doubtful: dict[UUID, set[str]] = defaultdict(set)
    for run_id, node in StepLog.objects.filter(outcome="U", node__gte=0).values_list("run_id", "node"):
        if run_id in everyone and node < len(everyone[run_id].keys):
            doubtful[everyone[run_id].root].add(everyone[run_id].key(node))
    for run_id, one in wanted.items():
        found = done[run_id]
        if one.unsure:
            continue  # what was cut was not there to be undone
        if missing := one.undone - found:
            yield f"lost: the undo of {dict(missing)} in run {run_id}"
        if too_many := {key for key in found - one.undone if key not in doubtful[run_id]}:
            yield f"doubled: {too_many} of run {run_id} undone more often than it happened"
    yield from _Order(everyone, evidence).faults()


@dataclass
class _Order:
    """The ledgers of these runs against the handlers' own clock."""

    everyone: dict[UUID, Member]
    evidence: Evidence

    def __post_init__(self) -> None:
        found = UndoItem.objects.filter(run_id__in=self.everyone)
        self.items = {(item.run_id, item.entry): item for item in found}
        self.below: dict[tuple[UUID, int, int], list[UUID]] = defaultdict(list)
        for member in self.everyone.values():
            if member.at is not None:
                self.below[member.at].append(member.run_id)
        self.of_run: dict[UUID, list[UndoItem]] = defaultdict(list)
        for item in self.items.values():
            self.of_run[item.run_id].append(item)
        rows = StepLog.objects.filter(node__lt=0, outcome="S")
        self.succeeded = {
            Place(str(run), node, scope, generation): attempt
            for run, node, scope, generation, attempt in rows.values_list(
                "run_id", "node", "scope_id", "generation", "attempt"
            )
        }

    def faults(self) -> Iterator[str]:
        for item in self.items.values():
            if item.state not in SETTLED or item.awaits:
                yield f"lost: {item} is {item.state}, awaits {item.awaits}"
                continue
            ended = [end for _, end in self._spans(item)]
            for entry in item.releases if item.state == "undone" else ():
                earlier = self.items[item.run_id, entry]
                begun = [begin for begin, _ in self._spans(earlier)]
                if begun and ended and min(begun) < max(ended):
                    yield f"doubled: the undo of {earlier} began before that of {item} was done"

    def _spans(self, item: UndoItem) -> Iterator[tuple[int, int]]:
        """First call and end of the undo of a step, or of every step in a sub-workflow's run."""
        place = Place(str(item.run_id), -1 - item.node, item.scope_id, item.generation)
        if place in self.evidence.called and place in self.succeeded:
            begun = [time for times in self.evidence.called[place].values() for time in times]
            yield min(begun), min(self.evidence.acted[place][self.succeeded[place]])
        for run_id in self.below.get((item.run_id, item.node, item.scope_id), ()):
            if self.everyone[run_id].undoes:
                continue  # it has undone itself when it failed, before what came after it was done
            for inner in self.of_run[run_id]:
                yield from self._spans(inner)
