"""What this very machine can do at best: plain commits, plain computation, a plain Celery round trip."""

import multiprocessing
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import redis
from celery import Celery
from django.conf import settings

from orchestrator.engine.database import connection_arguments
from orchestrator.project.embedded.child import ChildOptions, start_child, stop_child

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

TABLE = "CREATE TABLE IF NOT EXISTS bench_floor (id bigserial PRIMARY KEY, body text)"


def single_commits(count: int) -> float:
    """Seconds for `count` single-row durable commits on one connection."""
    with psycopg.connect(**connection_arguments(), autocommit=True, prepare_threshold=0) as connection:
        connection.execute(TABLE)
        began = time.perf_counter()
        for _ in range(count):
            connection.execute("INSERT INTO bench_floor (body) VALUES ('x')")
        return time.perf_counter() - began


def copied_rows(count: int) -> float:
    """Seconds to COPY `count` rows in one transaction."""
    with psycopg.connect(**connection_arguments(), autocommit=True) as connection:
        connection.execute(TABLE)
        began = time.perf_counter()
        with connection.cursor().copy("COPY bench_floor (body) FROM STDIN") as copy:
            for _ in range(count):
                copy.write_row(("x",))
        return time.perf_counter() - began


def commits_by_two(count: int) -> float:
    """Seconds for `count` single-row commits by two processes at once."""
    with psycopg.connect(**connection_arguments(), autocommit=True) as connection:
        connection.execute(TABLE)
    context = multiprocessing.get_context("spawn")
    answers: Queue[tuple[float, float]] = context.Queue()
    gate = context.Event()
    arguments = (connection_arguments(), count // 2, gate, answers)
    processes = [context.Process(target=_commit, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for _ in processes:
        answers.get(timeout=60)
    gate.set()
    spans = [answers.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    return max(end for _, end in spans) - min(begin for begin, _ in spans)


def _commit(arguments: dict[str, object], count: int, gate: object, answers: "Queue[tuple[float, float]]") -> None:
    with psycopg.connect(**arguments, autocommit=True, prepare_threshold=0) as connection:  # type: ignore[arg-type]
        connection.execute("SELECT 1")
        answers.put((0.0, 0.0))
        gate.wait()  # type: ignore[attr-defined]
        began = time.monotonic()
        for _ in range(count):
            connection.execute("INSERT INTO bench_floor (body) VALUES ('x')")
        answers.put((began, time.monotonic()))


floor_app = Celery("floor", broker=settings.BROKER_URL)
floor_app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1, worker_hijack_root_logger=False)


@floor_app.task(name="floor.answer")  # type: ignore[untyped-decorator]
def answer(key: str) -> None:
    """Say that the message arrived."""
    redis.Redis.from_url(settings.REDIS_URL).lpush(key, "x")


@contextmanager
def celery_worker() -> Iterator[Callable[[], float]]:
    """A worker that does nothing else. Yields a function: seconds from sending a Celery no-op to its answer."""
    code = (
        "import django; django.setup(); from orchestrator.project.bench.floors import floor_app as a; "
        "a.Worker(pool_cls='prefork', concurrency=1, queues=['floor'], quiet=True, loglevel='ERROR', "
        "without_gossip=True, without_mingle=True, without_heartbeat=True).start()"
    )
    worker = start_child([sys.executable, "-W", "ignore", "-c", code], ChildOptions())
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=60)  # longer than any wait below
    try:
        _round_trip(client, 30)  # the first answer says that the worker is up
        yield lambda: _round_trip(client, 10)
    finally:
        stop_child(worker, [])


def _round_trip(client: "redis.Redis", patience: int) -> float:
    key = f"floor-{secrets.token_hex(6)}"
    began = time.perf_counter()
    answer.apply_async([key], queue="floor")
    if client.blpop([key], timeout=patience) is None:
        raise TimeoutError("the floor's Celery worker does not answer")
    return time.perf_counter() - began
