"""One real worker node for a test that kills its processes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from django.conf import settings

from orchestrator.models import WorkerSession
from orchestrator.project.embedded.child import ChildOptions, start_child
from tests.waiting import wait_until


@contextmanager
def node_at_work(environment: dict[str, str], output: Path, *, processes: int = 2) -> Iterator[subprocess.Popen[bytes]]:
    """All its processes claim and it listens when the block begins. It is killed at the end: stopping it politely takes
    seconds and is tested elsewhere.
    """
    arguments = [sys.executable, "manage.py", "work", "--processes", str(processes)]
    with output.open("ab") as file:
        node = start_child(arguments, ChildOptions(environment=environment, output=file))
    try:
        wait_until(lambda: WorkerSession.objects.count() >= processes, 60, "the worker node to start")
        # Celery ends a node whose pool loses a process before it listens.
        wait_until(_is_listening, 60, "the worker node to listen")
        yield node
    finally:
        node.kill()
        node.wait(timeout=30)


def _is_listening() -> bool:
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        return any(client["cmd"] == "brpop" for client in broker.client_list())
