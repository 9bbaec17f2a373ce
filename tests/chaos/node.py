"""Real worker nodes for tests that kill their processes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import redis
from django.conf import settings

from orchestrator.models import WorkerSession
from orchestrator.project.embedded.child import ChildOptions, start_child
from orchestrator.steps import load_modules
from tests.chaos import journal
from tests.waiting import wait_until


def able_to_call(
    functions: ModuleType,
    process_environment: dict[str, str],
    folder: Path,
    *,
    ttl: float = 2,
    log_level: str = "ERROR",
) -> dict[str, str]:
    """Variables of a node that calls these functions, which write to `folder`; this process may publish them, too.

    `ttl`: seconds until a node that does not beat is taken for dead.
    """
    load_modules([functions.__name__])
    return {
        **process_environment,
        "BRANCHLINE_STEP_MODULES": functions.__name__,
        "BRANCHLINE_LEASE_TTL": str(ttl),
        "BRANCHLINE_LOG_LEVEL": log_level,
        journal.FOLDER: str(folder),
    }


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
