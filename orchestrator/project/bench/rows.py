"""What can be measured, by the name that `--only` takes, in the order of the design."""

from collections.abc import Callable, Collection, Iterator, Mapping

from orchestrator.project.bench import crowd, engine, for_each, history, latency, live, long_runs, memory, waits
from orchestrator.project.bench.place import Place
from orchestrator.project.bench.row import Row

Measurement = Callable[[Place], Iterator[Row]]

MEASUREMENTS: Mapping[str, Measurement] = {
    "line": engine.line,
    "heavy": engine.heavy,
    "fan-out": engine.fan_out,
    "for-each": for_each.for_each,
    "throughput": engine.throughput,
    "start": latency.start,
    "decision": latency.decision,
    "event": latency.event,
    "frames": live.frames,
    "waits": waits.waits,
    "long-runs": long_runs.long_runs,
    "memory": memory.memory,
    "crowd": crowd.crowd,
    "history": history.history,
}


def rows_of(place: Place, names: Collection[str]) -> Iterator[Row]:
    """The rows of these measurements, one measurement after another."""
    for name in names:
        yield from MEASUREMENTS[name](place)
