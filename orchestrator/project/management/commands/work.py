"""`manage.py work`: a Celery worker node with the options Branchline needs."""

import os
import sys
import warnings
from argparse import ArgumentParser
from typing import Any

from celery.exceptions import SecurityWarning
from celery.utils.nodenames import default_nodename, host_format
from django.conf import settings
from django.core.management.base import BaseCommand

from orchestrator.project import node as engine_node
from orchestrator.project import (
    tasks,  # noqa: F401  registers the tasks
    telemetry,
)
from orchestrator.project.celery import app
from orchestrator.project.environment import process_environment
from orchestrator.project.metrics_server import open_server


class Command(BaseCommand):
    """Run a worker node until SIGTERM; it then finishes the steps it holds."""

    help = "Run a Celery worker node. More nodes on more machines give more speed."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        variables = process_environment()
        parser.add_argument("--processes", type=int, default=variables.number("BRANCHLINE_WORKER_PROCESSES", 2))
        parser.add_argument("--queues", default=variables.text("BRANCHLINE_QUEUES", "default"), help="a,b,c")
        parser.add_argument("--name", default=f"branchline-{os.getpid()}@%h")

    def handle(self, *args: Any, **options: Any) -> None:
        # Celery warns root because of pickles; ours takes JSON with ids only (see orchestrator.project.celery).
        warnings.simplefilter("ignore", SecurityWarning)
        # Celery would load every address and page to check them, in a process that serves none.
        os.environ["CELERY_SKIP_CHECKS"] = "1"
        engine_node.without_pools(settings.DATABASES)
        engine_node.QUEUES[:] = options["queues"].split(",")
        telemetry.prepare()
        engine_node.METRICS[:] = filter(None, [open_server(settings.BRANCHLINE_METRICS_ADDRESS)])
        # Not `app.worker_main`: Celery's command line brings an interactive shell that takes a second to import.
        node = app.Worker(
            hostname=host_format(default_nodename(options["name"])),
            pool_cls="prefork",
            concurrency=options["processes"],
            queues=engine_node.QUEUES,
            loglevel="WARNING",
            quiet=True,
            # Nodes never talk to each other: the database says who lives.
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        node.start()
        sys.exit(node.exitcode)
