"""The embedded PostgreSQL: a real server on a unix socket, living exactly as long as the process that started it."""

import errno
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from orchestrator.project.embedded import owner
from orchestrator.project.embedded.child import ChildOptions, start_child, stop_child
from orchestrator.project.embedded.orphan import end_orphan
from orchestrator.project.embedded.places import DATABASE, ROLE, Places
from orchestrator.project.embedded.problem import CannotStart, disk_full

READY_WITHIN = 60.0  # seconds; crash recovery of a busy server replays its log first
LARGEST_LOG = 10_000_000  # bytes
SUPERUSER = "postgres"
STILL_IN_USE = "pre-existing shared memory block"
# For a laptop and a small server; a bigger machine brings its own PostgreSQL by DATABASE_URL.
OPTIONS: dict[str, str] = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "jit": "off",  # compiling a plan costs more than any of our queries
    "autovacuum_naptime": "15s",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "logging_collector": "off",
    "log_line_prefix": "%m ",
}
# PostgreSQL's own C.UTF-8 needs no locale of the system. Trust is safe: only this user can reach the socket.
INITDB = (
    f"--username={SUPERUSER}",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)


class Postgres:
    """One PostgreSQL server in one data folder."""

    name = "PostgreSQL"

    def __init__(self, places: Places, options: Mapping[str, str] | None = None) -> None:
        self.places = places
        self.options = {**OPTIONS, **(options or {})}
        self.child: subprocess.Popen[bytes] | None = None
        self.user: tuple[int, int] | None = None

    def start(self) -> None:
        """Initialise the folder when new, recover it when stale, start and return when the database is there.

        Raises CannotStart: `other_postgres_version`, `disk_full`, `postgres` (with the server's own last words).
        """
        self.check_version()
        self.prepare()
        if not self.version_file.exists():
            self.initialise()
        deadline = time.monotonic() + READY_WITHIN
        while not self.launched(deadline):
            continue

    @property
    def version_file(self) -> Path:
        return self.places.postgres / "PG_VERSION"

    @property
    def log(self) -> Path:
        return self.places.logs / "postgres.log"

    def check_version(self) -> None:
        if not self.version_file.exists():
            return
        found = self.version_file.read_text().strip()
        if found != owner.POSTGRES_VERSION:
            raise CannotStart(
                "other_postgres_version",
                f"{self.places.data} was written by PostgreSQL {found}, but this Branchline brings "
                f"{owner.POSTGRES_VERSION}. Move the data with pg_dump, or choose another folder with DATA=.",
            )

    def prepare(self) -> None:
        """Make the folders; as root, let the server's own user reach its data and its programs."""
        self.user = owner.server_user(self.places.postgres)
        for folder in (self.places.postgres, self.places.sockets):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.user:
                os.chown(folder, *self.user)
                owner.let_through(folder)
        allowed = {self.user[0] if self.user else os.geteuid()}
        if self.places.sockets.stat().st_uid not in allowed:
            raise CannotStart("foreign_folder", f"{self.places.sockets} belongs to another user. Remove it first.")
        self.places.sockets.chmod(0o700)
        if self.user:
            owner.let_through(owner.programs())

    def initialise(self) -> None:
        """Run initdb in place; a failed try leaves nothing, so the next start begins anew."""
        if self.user:
            owner.let_read(owner.programs().parent)
        uid, gid = self.user or (None, None)
        done = subprocess.run(
            [str(owner.programs() / "initdb"), "-D", str(self.places.postgres), *INITDB],
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=self.environment(),
            cwd=self.places.postgres,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
        )
        if done.returncode:
            self.clear()
            raise self.failure(done.stderr.decode(errors="replace"))

    def clear(self) -> None:
        for path in self.places.postgres.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def environment(self) -> dict[str, str]:
        # Nothing of ours: PGDATA, PGOPTIONS or LC_ALL of the person's shell must not reach the server.
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    def launch(self) -> tuple[subprocess.Popen[bytes], int]:
        """Start the program; answer it and where its lines begin in the log."""
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            self.log.unlink()
        settings = {**self.options, "unix_socket_directories": str(self.places.sockets)}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as output:
            options = ChildOptions(
                at_parent_death=signal.SIGINT,  # "fast": ends every session, writes a checkpoint, exits
                environment=self.environment(),
                folder=self.places.postgres,
                user=self.user,
                output=output,
            )
            program = str(owner.programs() / "postgres")
            self.child = start_child([program, "-D", str(self.places.postgres), *arguments], options)
            return self.child, output.tell()

    def launched(self, deadline: float) -> bool:
        """Start the server and wait for it. False while sessions of a killed one still hold its memory."""
        end_orphan(self.places.postgres)
        child, logged = self.launch()
        while child.poll() is None and time.monotonic() < deadline:
            try:
                self.make_database()
            except psycopg.OperationalError:
                time.sleep(0.01)
            else:
                return True
        self.stop()
        output = self.log_from(logged)
        if STILL_IN_USE in output and time.monotonic() < deadline:
            return False
        raise self.failure(output)

    def make_database(self) -> None:
        """The application's own role is no superuser: it owns its database and nothing else."""
        with psycopg.connect(
            host=str(self.places.sockets), user=SUPERUSER, dbname="postgres", autocommit=True, connect_timeout=5
        ) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                return
            role, database = sql.Identifier(ROLE), sql.Identifier(DATABASE)
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(role))
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))

    def log_from(self, position: int) -> str:
        with self.log.open("rb") as file:
            file.seek(min(position, self.log.stat().st_size))
            return file.read().decode(errors="replace")

    def failure(self, output: str) -> CannotStart:
        """The one line of the server's output that says why it did not start."""
        if os.strerror(errno.ENOSPC) in output:
            return disk_full(self.places.postgres)
        lines = [line for line in output.strip().splitlines() if line.strip()]
        fatal = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line]
        return CannotStart("postgres", f"PostgreSQL did not start: {(fatal or lines or ['no output'])[-1]}")

    def stop(self) -> None:
        """End it by a fast shutdown; when that takes too long, by an immediate one (recovered on the next start)."""
        if self.child is not None:
            stop_child(self.child, [(signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0)])
            self.child = None
