"""Kills and stops what a run depends on: pool processes, nodes, PostgreSQL, the broker."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from random import Random

import psutil
import redis
from django.conf import settings
from django.db import connection

from orchestrator.project.embedded.child import ChildOptions, start_child
from tests.servers import servers
from tests.waiting import wait_until


class Nodes:
    """Two worker nodes that come back when they are killed."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.nodes = [self._start(), self._start()]

    def _start(self) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "manage.py", "work", "--processes", "2"]
        return start_child(arguments, ChildOptions(environment=self.environment, output=subprocess.DEVNULL))

    def children(self) -> list[psutil.Process]:
        """The pool processes that live."""
        found = []
        for node in self.nodes:
            try:
                found += psutil.Process(node.pid).children()
            except psutil.NoSuchProcess:
                continue
        return [child for child in found if child.is_running() and "work" in " ".join(_command(child))]

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
    """One blow at a time, chosen by a seed. `counts` is the report."""

    def __init__(self, nodes: Nodes, random: Random, *, stop_seconds: float) -> None:
        self.nodes, self.random, self.stop_seconds = nodes, random, stop_seconds
        self.counts: Counter[str] = Counter()
        self._stopped: list[tuple[float, psutil.Process]] = []

    def strike(self) -> None:
        """Do one thing that may happen in a data centre."""
        blows = [self.kill_child] * 6 + [self.stop_child] * 3 + [self.kill_node, self.flush_broker, self.flush_broker]
        self.random.choice(blows)()
        self.wake_stopped()

    def kill_child(self) -> None:
        if children := self.nodes.children():
            _signal(self.random.choice(children), signal.SIGKILL)
            self.counts["pool processes killed"] += 1

    def stop_child(self) -> None:
        """Stop a process beyond its lease: it comes back as a zombie that believes it owns its steps."""
        if children := self.nodes.children():
            child = self.random.choice(children)
            _signal(child, signal.SIGSTOP)
            self._stopped.append((time.monotonic() + self.stop_seconds, child))
            self.counts["pool processes stopped"] += 1

    def wake_stopped(self, *, all_of_them: bool = False) -> None:
        for at, child in list(self._stopped):
            if all_of_them or time.monotonic() >= at:
                _signal(child, signal.SIGCONT)
                self._stopped.remove((at, child))

    def kill_node(self) -> None:
        self.nodes.kill_node(self.random.randrange(2))
        self.counts["nodes killed"] += 1

    def flush_broker(self) -> None:
        redis.Redis.from_url(settings.REDIS_URL).flushall()
        self.counts["broker flushes"] += 1

    def crash_database(self) -> None:
        """`pg_ctl stop -m immediate`, then start again: recovery from the write-ahead log."""
        postgres = servers().postgres
        assert postgres is not None
        assert postgres.child is not None
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]  # psycopg's pool of this process
        postgres.child.send_signal(signal.SIGQUIT)
        postgres.child.wait(timeout=30)
        postgres.start()
        wait_until(_answers, 30, "PostgreSQL to answer again")
        self.counts["database crashes"] += 1


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


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
