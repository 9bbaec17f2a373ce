"""Kills and stops what a run depends on: pool processes, nodes, PostgreSQL, the broker, the order of messages, time."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

import psutil
import redis
from django.conf import settings
from django.db import connection

from orchestrator.models import WorkerSession
from orchestrator.project.embedded.child import ChildOptions, start_child
from tests.servers import servers
from tests.waiting import wait_until

QUEUE = "default"
PROCESSES = 3  # of each node


class Nodes:
    """Two worker nodes that come back when they are killed."""

    def __init__(self, environment: dict[str, str], output: Path) -> None:
        self.environment, self.output = environment, output
        self.nodes = [self._start(), self._start()]

    def _start(self) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "manage.py", "work", "--processes", str(PROCESSES)]
        with self.output.open("ab") as output:
            return start_child(arguments, ChildOptions(environment=self.environment, output=output))

    def children(self) -> list[psutil.Process]:
        """The pool processes that live and have begun to work, by their sessions."""
        return self._children_of({node.pid for node in self.nodes})

    def children_of(self, which: int) -> list[psutil.Process]:
        """The same of one node."""
        return self._children_of({self.nodes[which].pid})

    def _children_of(self, parents: set[int]) -> list[psutil.Process]:
        pids = WorkerSession.objects.values_list("pid", flat=True).distinct()
        return [child for pid in pids if (child := _child_of(parents, pid)) is not None]

    def revive(self) -> None:
        """What a supervisor does: a node that has ended is started again.

        Celery ends a node whose pool loses a process before its first look at the broker ("Could not start worker").
        """
        for which, node in enumerate(self.nodes):
            if node.poll() is not None:
                self.nodes[which] = self._start()

    def kill_node(self, which: int) -> None:
        """kill -9 the Celery parent: its children die with it. Another node takes its place."""
        self.nodes[which].kill()
        self.nodes[which].wait()
        self.nodes[which] = self._start()

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()
            node.wait()


class Nemesis:
    """One blow at a time, chosen by a seed. `counts` is the report, `history` each blow by the monotonic clock.

    `lost_at` tells when a session's process was killed, `away` when PostgreSQL was, both by the database's clock.
    """

    def __init__(self, nodes: Nodes, random: Random, *, stop_seconds: float) -> None:
        self.nodes, self.random, self.stop_seconds = nodes, random, stop_seconds
        self.counts: Counter[str] = Counter()
        self.history: list[tuple[int, str]] = []
        self.lost_at: dict[int, float] = {}
        self.away: list[tuple[float, float]] = []
        self._stopped: dict[int, threading.Timer] = {}
        self._broker_back_at: float | None = None

    def _struck(self, blow: str, what: object = "") -> None:
        self.counts[blow] += 1
        self.history.append((time.monotonic_ns(), f"{blow} {what}".strip()))

    def kill_child(self) -> None:
        child = self._victim()
        self._remember(child)
        _signal(child, signal.SIGKILL)
        self._struck("kill -9", child.pid)

    def stop_child(self) -> None:
        """Stop a process beyond its lease: it comes back as a zombie that believes it owns its steps."""
        child = self._victim()
        _signal(child, signal.SIGSTOP)
        # Not by this thread: it may wait for a lock that the stopped process holds.
        timer = self._stopped[child.pid] = threading.Timer(self.stop_seconds, self._wake, [child])
        timer.start()
        self._struck("stopped beyond the lease", child.pid)

    def _wake(self, child: psutil.Process) -> None:
        _signal(child, signal.SIGCONT)
        self.history.append((time.monotonic_ns(), f"continued {child.pid}"))
        self._stopped.pop(child.pid, None)

    def kill_node(self) -> None:
        which = self.random.randrange(2)
        for child in self.nodes.children_of(which):
            self._remember(child)
        self.nodes.kill_node(which)
        self._struck("nodes killed")

    def flush_broker(self) -> None:
        if self._broker_back_at is None:
            redis.Redis.from_url(settings.REDIS_URL).flushall()
            self._struck("broker flushes")

    def stop_broker(self) -> None:
        """Gone for some seconds."""
        valkey = servers().valkey
        if valkey is not None and self._broker_back_at is None:
            valkey.stop()
            self._broker_back_at = time.monotonic() + 2
            self._struck("broker stops")

    def start_broker(self, *, now: bool = False) -> None:
        valkey = servers().valkey
        if valkey is not None and self._broker_back_at is not None and (now or time.monotonic() > self._broker_back_at):
            valkey.start()
            self._broker_back_at = None

    def shuffle_wakes(self) -> None:
        """Wake-ups that wait at the broker come twice and in another order; and some come that nobody sent."""
        if self._broker_back_at is not None:
            return
        with redis.Redis.from_url(settings.REDIS_URL) as broker:
            messages = broker.lrange(QUEUE, 0, -1) * 2
            if messages:
                self.random.shuffle(messages)
                broker.pipeline().delete(QUEUE).rpush(QUEUE, *messages).execute()
        self._struck("wake-ups doubled and reordered")

    def jump_clock(self) -> None:
        """The database's clock, forwards or backwards; never more than ten seconds off the true time."""
        seconds = self.random.choice((-4, -1, 2, 5))
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE harness.clock SET shift = greatest(least(shift + make_interval(secs => %s), '10 s'), '-10 s')",
                [seconds],
            )
        # What was remembered was told by another clock.
        self.lost_at.clear()
        self.away.clear()
        self._struck("clock jumps", seconds)

    def crash_database(self) -> None:
        """`pg_ctl stop -m immediate`, then start again: recovery from the write-ahead log."""
        postgres = servers().postgres
        assert postgres is not None
        assert postgres.child is not None
        began = _now()
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]  # psycopg's pool of this process
        self._struck("database crashes")
        postgres.child.send_signal(signal.SIGQUIT)
        postgres.child.wait(timeout=30)
        postgres.start()
        wait_until(_answers, 30, "PostgreSQL to answer again")
        self.away.append((began, _now()))
        self.history.append((time.monotonic_ns(), "database back"))

    def tick(self) -> None:
        """Give back what was taken for long enough."""
        self.start_broker()
        self.nodes.revive()

    def relent(self) -> None:
        """Give everything back."""
        for timer in list(self._stopped.values()):
            timer.join()
        self.start_broker(now=True)

    def _victim(self) -> psutil.Process:
        """A pool process that is not stopped already. After a kill its node needs a moment to fork another.

        A node forks none while the broker is away, so what is due to come back comes back meanwhile.
        """
        found: list[psutil.Process] = []

        def look() -> bool:
            self.tick()
            found[:] = self._victims()
            return bool(found)

        wait_until(look, 60, "a pool process to strike at")
        return self.random.choice(found)

    def _victims(self) -> list[psutil.Process]:
        return [child for child in self.nodes.children() if child.pid not in self._stopped]

    def _remember(self, child: psutil.Process) -> None:
        """When its sessions were lost, by the database's clock: what a takeover's delay is counted from."""
        now = _now()
        for session_id in WorkerSession.objects.filter(pid=child.pid).values_list("pk", flat=True):
            self.lost_at[session_id] = now


def _now() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        return float(cursor.fetchone()[0])


def _answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception:
        connection.close()
        return False
    return True


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return


def _child_of(parents: set[int], pid: int) -> psutil.Process | None:
    """None for a process that is gone, dead and not yet buried, or another's."""
    try:
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return process if alive and process.ppid() in parents else None
    except psutil.Error:
        return None
