"""For commands that need the database: find the running embedded servers, or start them for the command."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from orchestrator.project.embedded.problem import CannotStart
from orchestrator.project.embedded.servers import Servers
from orchestrator.project.running.migrations import migrate_when_needed

ANSWERS_WITHIN = 30.0  # seconds: an `up` on this folder may just be starting


def embedded_servers() -> Servers:
    """The servers of this data folder, without those the person brings."""
    return Servers(settings.DATA_DIR, postgres=settings.EMBEDDED_POSTGRES, valkey=settings.EMBEDDED_VALKEY)


@contextmanager
def served() -> Iterator[None]:
    """Inside the block the database answers and has this version's tables. Raises CannotStart."""
    servers = embedded_servers()
    try:
        servers.start()
    except CannotStart as problem:
        if problem.code != "already_running":
            raise
        wait_for_database()
        yield
        return
    try:
        migrate_when_needed()
        yield
    finally:
        connection.close()
        servers.stop()


def check_database() -> None:
    """Raise CannotStart when the database does not answer: a pool would try and log for ten seconds first."""
    parameters = {**connection.get_connection_params(), "connect_timeout": 5}
    parameters.pop("pool", None)
    try:
        psycopg.connect(**parameters).close()
    except psycopg.OperationalError as error:
        reason = str(error).splitlines()[0]
        raise CannotStart("no_database", f"The database of DATABASE_URL does not answer: {reason}") from error


def wait_for_database() -> None:
    deadline = time.monotonic() + ANSWERS_WITHIN
    while True:
        try:
            return check_database()
        except CannotStart:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


class ServedCommand(BaseCommand):
    """A management command that works with or without a running `up`."""

    requires_system_checks = ()

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            with served() if settings.EMBEDDED_POSTGRES else nullcontext():
                return super().execute(*args, **options)
        except CannotStart as problem:
            raise CommandError(problem.message) from problem
