"""`manage.py work`: a Celery worker node with the options Branchline needs."""

import os
import sys
import warnings
from argparse import ArgumentParser
from typing import Any

from celery.exceptions import SecurityWarning
from django.core.management.base import BaseCommand

from orchestrator.project.celery import app
from orchestrator.project.environment import process_environment


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
        app.worker_main(
            [
                "--quiet",  # no banner
                "worker",
                "--pool=prefork",
                f"--concurrency={options['processes']}",
                f"--queues={options['queues']}",
                f"--hostname={options['name']}",
                # Nodes never talk to each other: the database says who lives.
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
                "--loglevel=WARNING",
            ]
        )
        sys.exit(0)
