"""The report of a campaign, kept after each round, so that an interrupted one goes on where it stopped."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Tally:
    """What one round did and saw."""

    runs: int = 0
    nested: int = 0
    #: runs of sub-workflows, and scopes that took turns
    children: int = 0
    locked: int = 0
    undone: int = 0
    #: runs that an operator cancelled, runs below them that heard of it, and failed runs that were retried
    cancelled: int = 0
    travelled: int = 0
    retried: int = 0
    #: calls that handlers wrote down; those that never came to their end; those on top of what the log tells
    executions: int = 0
    cut_off: int = 0
    repeated: int = 0
    #: places where a handler was called, and the log has no row because something was cancelled
    unlogged: int = 0
    #: successes that a worker was told of
    acknowledged: int = 0
    #: events that were acknowledged, calls of that kind that had to be repeated, and deliveries that reached a step
    events: int = 0
    sent_again: int = 0
    heard: int = 0
    attempts: int = 0
    taken_over: int = 0
    #: runs in which a step killed, or seemed to kill, five workers
    given_up: int = 0
    lost: int = 0
    doubled: int = 0
    fsck_faults: int = 0
    blows: dict[str, int] = field(default_factory=dict)
    #: seconds from the death of a process until its step was taken over; apart, where PostgreSQL restarted meanwhile
    delays: list[float] = field(default_factory=list)
    delays_across_restarts: list[float] = field(default_factory=list)
    seconds: float = 0.0
    seed: int = 0


class Ledger:
    """Rounds in a file of JSON lines."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = [] if path is None or not path.exists() else path.read_text().splitlines()
        self.rounds = [Tally(**json.loads(line)) for line in lines]

    def add(self, tally: Tally) -> None:
        self.rounds.append(tally)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(tally)) + "\n")

    def total(self, name: str) -> int:
        return int(sum(getattr(tally, name) for tally in self.rounds))

    @property
    def blows(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for tally in self.rounds:
            counts.update(tally.blows)
        return counts

    def report(self) -> str:
        """The whole campaign as Markdown rows."""
        rows = [(name.replace("_", " "), self.total(name)) for name in DONE]
        rows += sorted(self.blows.items())
        rows += [(name.replace("_", " "), self.total(name)) for name in WRONG]
        lines = [f"| {name} | {number:,} |" for name, number in rows]
        for field_name, what in DELAYS.items():
            delays = sorted(delay for tally in self.rounds for delay in getattr(tally, field_name))
            if delays:
                quantiles = ", ".join(f"{name} {delays[int(q * (len(delays) - 1))]:.2f} s" for name, q in QUANTILES)
                lines.append(f"| takeover {what} ({len(delays):,} measured) | {quantiles} |")
        lines.append(f"| rounds, minutes | {len(self.rounds)}, {sum(t.seconds for t in self.rounds) / 60:.1f} |")
        return "\n".join(lines)


DONE = (
    "runs",
    "nested",
    "children",
    "locked",
    "undone",
    "cancelled",
    "travelled",
    "retried",
    "executions",
    "cut_off",
    "repeated",
    "unlogged",
    "acknowledged",
    "events",
    "sent_again",
    "heard",
    "attempts",
    "taken_over",
    "given_up",
)
WRONG = ("lost", "doubled", "fsck_faults")
DELAYS = {
    "delays": "after a death",
    "delays_across_restarts": "after a death, across a restart of PostgreSQL",
}
QUANTILES = (("median", 0.5), ("p90", 0.9), ("p99", 0.99), ("longest", 1.0))
