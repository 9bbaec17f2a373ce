"""What `/metrics` says, in Prometheus's text, and who may read it."""

import hmac
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import Error
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from orchestrator.queries.gauges import Gauge, gauges

#: Where processes count together: prometheus-client reads this variable at its import.
FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"


def processes_text() -> bytes:
    """What this process has counted, and all others that count in the same folder."""
    if FOLDER not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def database_text() -> bytes:
    """What stands in the database. While it does not answer, the text says so."""
    registry = CollectorRegistry()
    registry.register(Rows())
    return generate_latest(registry)


def forget_counts(folder: Path) -> None:
    """Make the folder, and remove what processes of an earlier life have counted there."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        # Our own was opened when the counters were imported.
        if not file.stem.endswith(f"_{os.getpid()}"):
            file.unlink(missing_ok=True)


def token_of_machine() -> str:
    """The bearer token of `/metrics`; empty when none is set."""
    return os.environ.get("BRANCHLINE_METRICS_TOKEN", "")


def is_token(authorization: str) -> bool:
    """Whether the header carries the machine's token. Compared in constant time."""
    given = authorization.removeprefix("Bearer ")
    return hmac.compare_digest(given.encode(), token_of_machine().encode())


class Rows(Collector):
    """Gauges of the whole installation, the same from every web process."""

    def collect(self) -> Iterator[Metric]:
        try:
            found = list(gauges(settings.BRANCHLINE_LEASE_TTL))
        except Error:
            yield GaugeMetricFamily("branchline_database_up", "Whether the database answered this scrape.", value=0)
            return
        yield GaugeMetricFamily("branchline_database_up", "Whether the database answered this scrape.", value=1)
        yield from _families(found)


def _families(found: list[Gauge]) -> Iterator[Metric]:
    ready = GaugeMetricFamily("branchline_ready_tokens", "Tokens that a worker may claim.", labels=["queue"])
    age = GaugeMetricFamily("branchline_ready_age_seconds", "How long the oldest ready token lies.", labels=["queue"])
    line = GaugeMetricFamily(
        "branchline_in_line_tokens", "Tokens that wait for their turn in a limited queue.", labels=["queue"]
    )
    runs = GaugeMetricFamily("branchline_open_runs", "Runs that have not ended.", labels=["state"])
    for gauge in found:
        late = max(0.0, gauge.age or 0.0)
        match gauge.what:
            case "ready":
                ready.add_metric([gauge.label], gauge.count)
                age.add_metric([gauge.label], late)
            case "in_line":
                line.add_metric([gauge.label], gauge.count)
            case "run":
                runs.add_metric([gauge.label], gauge.count)
            case "leased":
                yield GaugeMetricFamily("branchline_leased_tokens", "Tokens in workers' hands.", value=gauge.count)
            case "waiting":
                yield GaugeMetricFamily(
                    "branchline_waiting_tokens", "Tokens that wait for a person, an event or a time.", value=gauge.count
                )
                yield GaugeMetricFamily(
                    "branchline_timer_lag_seconds", "How long the timer is overdue that waits longest.", value=late
                )
            case "undo_stuck":
                yield GaugeMetricFamily(
                    "branchline_undo_stuck_runs", "Runs with an undo that waits for a person.", value=gauge.count
                )
            case "worker":
                yield GaugeMetricFamily("branchline_worker_processes", "Worker processes alive.", value=gauge.count)
    yield from (ready, age, line, runs)
