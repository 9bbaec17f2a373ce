"""`manage.py up`: everything on this machine, until Ctrl-C."""

import os
import sys
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from socket import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections

from orchestrator.core.errors import BranchlineError
from orchestrator.project import samples
from orchestrator.project.embedded.problem import CannotStart
from orchestrator.project.environment import process_environment
from orchestrator.project.exposition import FOLDER, forget_counts
from orchestrator.project.running.address import address, listen
from orchestrator.project.running.migrations import migrate_when_needed
from orchestrator.project.running.relay import write_line
from orchestrator.project.running.served import check_database, embedded_servers
from orchestrator.project.running.service import web, worker
from orchestrator.project.running.signals import StopSignals
from orchestrator.project.running.site import forget_address, note_address
from orchestrator.project.running.supervisor import Supervisor
from orchestrator.services.signin import create_signin_link

PATIENCE = 1.0  # seconds for a Branchline that was killed just now


class Command(BaseCommand):
    """Start PostgreSQL and Valkey where unset, web and workers; print the address; stop all of it in order."""

    help = "Start Branchline on this machine: servers where unset, web and workers. PORT and DATA choose where."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        variables = process_environment()
        parser.add_argument("--port", type=int, default=variables.number("PORT", 8000), help="0 takes a free one")
        parser.add_argument("--host", default=variables.text("BRANCHLINE_BIND", "127.0.0.1"))
        parser.add_argument("--processes", type=int, default=variables.number("BRANCHLINE_WORKER_PROCESSES", 2))
        parser.add_argument("--patience", type=int, default=variables.number("BRANCHLINE_STOP_SECONDS", 20))

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with StopSignals() as signals:
                self.run_until_stopped(signals, **options)
        except (CannotStart, BranchlineError) as problem:
            sys.exit(f"Cannot start: {problem.message}")

    def run_until_stopped(self, signals: StopSignals, *, host: str, port: int, **options: Any) -> None:
        servers = embedded_servers()
        servers.reserve(PATIENCE)
        with ExitStack() as stack:
            stack.callback(servers.stop)
            listener = stack.enter_context(listen(host, port))
            self.say("Starting ...")
            servers.start()
            check_database()
            stack.callback(connections.close_all)
            if migrate_when_needed():
                self.say("The database has this version's tables.")
            os.environ.setdefault("BRANCHLINE_URL", address(listener))
            counting = count_together()
            services = [
                web(listener.fileno(), counting),
                worker(options["processes"], options["patience"], counting),
            ]
            supervisor = Supervisor(services, servers, signals, self.say)
            stack.callback(supervisor.stop)
            stack.callback(self.say, "Stopping: web, workers, Valkey, PostgreSQL ...")
            if supervisor.start():
                self.welcome(listener, stack)
                supervisor.watch()
        self.say("Stopped.")

    def welcome(self, listener: socket, stack: ExitStack) -> None:
        """The one address to open, with a sign-in link that works once."""
        samples.load_when_wanted()
        site = settings.SITE_URL or address(listener)
        note_address(site)
        stack.callback(forget_address)
        administrator = samples.administrator()
        link = create_signin_link(administrator) if administrator else "/"
        self.say(f"Branchline is ready. Open {site}{link} (the link works once). Ctrl-C stops everything.")

    def say(self, text: str) -> None:
        write_line(f"up    | {text}", sys.stdout)


def count_together() -> dict[str, str]:
    """What lets web and workers count in one folder, so that the web's `/metrics` tells of both."""
    folder = Path(os.environ.get(FOLDER) or settings.DATA_DIR / "metrics")
    forget_counts(folder)
    return {FOLDER: str(folder), "BRANCHLINE_METRICS_ADDRESS": ""}
